"""``uq-harness reference``: the paper's tables on the screen, its run configurations in a folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from uq_harness.cli.app import LOOK_UP, app, example
from uq_harness.cli.arguments import AsJson
from uq_harness.cli.wide_tables import print_wide
from uq_harness.errors import UQHarnessError
from uq_harness.files import as_text
from uq_harness.report.published._configurations import configuration_files
from uq_harness.report.published.tables import PAPER_TABLES, ReferenceTable, paper_table


@app.command(rich_help_panel=LOOK_UP, epilog=example("uq-harness reference --table 1"))
def reference(
    table: Annotated[int | None, typer.Option(help="Print this table of the paper: 1 to 5.", metavar="N")] = None,
    copy: Annotated[
        Path | None, typer.Option(help="Copy the run configurations into this folder.", metavar="DIR")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the paper's results, and the configurations that repeat its runs."""
    tables = [paper_table(one) for one in (PAPER_TABLES if table is None else [table])]
    files = _copy(copy) if copy else configuration_files()
    if as_json:
        described = {"tables": [dataclasses.asdict(one) for one in tables], "configurations": [str(f) for f in files]}
        print(as_text(described, indent=2))
        return
    console = Console()
    if table is not None:
        _print_table(console, tables[0])
        return
    for one in tables:
        console.print(f"Table {one.table}  {one.caption}", highlight=False)
    for file in files:
        console.print(f"lm_eval run --config {file}", highlight=False, soft_wrap=True)


def _copy(folder: Path) -> list[Path]:
    files = configuration_files()
    taken = [folder / file.name for file in files if (folder / file.name).exists()]
    if taken:
        raise UQHarnessError(f"{taken[0]} exists already: name another folder, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    return [folder / file.name for file in files]


def _print_table(console: Console, table: ReferenceTable) -> None:
    several = len({column.judge for column in table.columns}) > 1
    headings = [
        (column.model_title or "", f"{column.task_title} {column.judge}" if several else column.task_title)
        for column in table.columns
    ]
    averages = max(len(row.averages) for row in table.rows)
    headings += [("average", f"Avg. {judge}" if several else "Avg.") for judge in ("llm_judge", "bem")[:averages]]
    rows = [(row.title, [Text(f"{value:g}") for value in (*row.values, *row.averages)]) for row in table.rows]
    print_wide(console, f"Table {table.table}: {table.caption} ({table.unit})", headings, rows)
    for line in (*table.notes, f"Source: {table.source}"):
        console.print(line, highlight=False)
