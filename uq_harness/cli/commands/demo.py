"""``uq-harness demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uq_harness.cli import app


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for lm_eval's results and samples.")] = Path("uq_demo_results"),
    methods: Annotated[str, typer.Option(help="Methods joined by +, or default, sampling_free, ...")] = "sampling_free",
) -> None:
    """Run the whole way offline, with the small model that comes with the package."""
    from uq_harness.cli.demo import run_demo

    run_demo(output, methods)
