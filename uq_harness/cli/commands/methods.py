"""``uq-harness methods``."""

from __future__ import annotations

from typing import Annotated

import typer

from uq_harness.cli import app


@app.command()
def methods(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False) -> None:
    """List all uncertainty methods with their cost, source and options."""
    from uq_harness.cli.methods import show_methods

    show_methods(as_json)
