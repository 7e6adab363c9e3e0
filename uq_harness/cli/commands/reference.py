"""``uq-harness reference``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uq_harness.cli import app


@app.command()
def reference(
    table: Annotated[int | None, typer.Option(help="Print this table of the paper: 1 to 5.")] = None,
    copy: Annotated[Path | None, typer.Option(help="Copy the run configurations into this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Show the paper's results, and the configurations that repeat its runs."""
    from uq_harness.cli.reference import show_reference

    show_reference(table, copy, as_json)
