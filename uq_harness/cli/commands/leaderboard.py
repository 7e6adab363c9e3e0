"""``uq-harness leaderboard``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uq_harness.cli import app


@app.command()
def leaderboard(
    folder: Annotated[Path, typer.Argument(help="Folder with all runs, searched with all folders in it.")],
    output: Annotated[Path | None, typer.Option(help="Folder for page and CSV; DIR itself without it.")] = None,
    title: Annotated[str, typer.Option(help="The page's title.")] = "Leaderboard",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a sentence.")] = False,
) -> None:
    """Write a page and a CSV file with every method of every run as a row."""
    from uq_harness.cli.leaderboard import run_leaderboard

    run_leaderboard(folder, output or folder, title=title, as_json=as_json)
