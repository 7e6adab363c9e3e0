"""``uq-harness leaderboard``: reads all runs of a folder and writes page and CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from uq_harness.cli.app import DECIDE, app, example
from uq_harness.cli.arguments import refuse_output_file
from uq_harness.files import as_text
from uq_harness.rendering.escape import visible


@app.command(rich_help_panel=DECIDE, epilog=example("uq-harness leaderboard out --output board"))
def leaderboard(
    folder: Annotated[Path, typer.Argument(help="Folder with all runs, searched with all folders in it.")],
    output: Annotated[Path | None, typer.Option(help="Folder for page and CSV; DIR itself without it.")] = None,
    title: Annotated[str, typer.Option(help="The page's title.")] = "Leaderboard",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a sentence.")] = False,
) -> None:
    """Write a page and a CSV file with every method of every run as a row."""
    from uq_harness.report.leaderboard import collect_entries, write_leaderboard
    from uq_harness.report.write import read_with_warnings

    output = output or folder
    refuse_output_file(output)
    runs, warnings = read_with_warnings([folder])
    entries = collect_entries(runs)
    files = write_leaderboard(entries, output, title)
    if as_json:
        described = {"files": [str(file) for file in files], "runs": len(runs), "rows": len(entries), "notes": warnings}
        print(as_text(described))
        return
    console = Console()
    for note in warnings:
        console.print(Text(f"note: {visible(note)}"), soft_wrap=True)
    where = " and ".join(visible(str(file)) for file in files)
    console.print(Text(f"{len(entries)} rows of {len(runs)} runs: {where}"), soft_wrap=True)
