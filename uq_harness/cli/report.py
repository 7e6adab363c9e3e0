"""``uq-harness report``: reads runs, writes the report, and prints the table of AUROCs."""

from __future__ import annotations

import math
from pathlib import Path

from rich.console import Console
from rich.text import Text

from uq_harness.cli.wide_tables import print_wide
from uq_harness.errors import UQHarnessError
from uq_harness.files import as_text
from uq_harness.rendering.escape import visible
from uq_harness.rendering.figures import new_figure
from uq_harness.report.content import Report, collect
from uq_harness.report.tables import Cell
from uq_harness.report.write import read_with_warnings, write_report


def run_report(
    results: list[Path],
    output: Path,
    *,
    reference: str | None,
    title: str,
    method: str | None,
    examples: int,
    alpha: float,
    all_runs: bool,
    pictures: bool,
    as_json: bool,
) -> None:
    """Writes the report and says where.

    Raises:
        UQHarnessError: There is nothing to read, the reference or the method is unknown, the folder is a file, or
            matplotlib is missing.
    """
    if reference not in (None, "paper"):
        raise UQHarnessError(f"--reference {reference!r} is not known: use paper")
    if output.exists() and not output.is_dir():
        raise UQHarnessError(f"--output {str(output)!r} is a file: name a folder")
    if pictures:
        _check_pictures()
    runs, warnings = read_with_warnings(results)
    known = sorted({name for run in runs for name in run.uncertainty})
    if method is not None and method not in known:
        raise UQHarnessError(f"--method {method!r} is in none of the runs: they have {', '.join(known) or 'no method'}")
    content = collect(
        runs,
        title=title,
        reference=reference == "paper",
        all_runs=all_runs,
        examples=examples,
        examples_by=method,
        alpha=alpha,
        warnings=warnings,
    )
    files = write_report(content, output, pictures=pictures)
    if as_json:
        print(as_text({"files": [str(file) for file in files], "notes": list(content.notes)}))
        return
    _print(content, files)


def _check_pictures() -> None:
    try:
        new_figure(1, 1)
    except UQHarnessError as error:
        raise UQHarnessError(f"{error}, or write the report without picture files: --no-plots") from error


def _print(content: Report, files: list[Path]) -> None:
    console = Console()
    for heading, table in content.all_tables():
        if table.name != "auroc":
            continue
        rows = [(row.title, [_number(cell) for cell in row.cells]) for row in table.rows]
        print_wide(console, f"{heading}, percent", [(h.group, h.title) for h in table.headings], rows)
    for note in content.notes:
        console.print(Text(f"note: {visible(note)}"), soft_wrap=True)
    console.print(Text(f"Report: {visible(str(files[0]))}, and {len(files) - 1} more files beside it"), soft_wrap=True)


def _number(cell: Cell) -> Text:
    if math.isnan(cell.value):
        return Text("–")
    return Text(f"{cell.value:.2f}{'†' if cell.not_worse else ''}", "bold" if cell.best else "")
