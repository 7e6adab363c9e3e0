"""``uq-harness report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uq_harness.cli import app


@app.command()
def report(
    results: Annotated[list[Path], typer.Argument(help="Files or folders that lm_eval wrote.", metavar="RESULTS...")],
    output: Annotated[Path, typer.Option(help="Folder for the report.")],
    reference: Annotated[str | None, typer.Option(help="Published results to put beside yours: paper.")] = None,
    title: Annotated[str, typer.Option(help="The report's title.")] = "Uncertainty of answers",
    method: Annotated[
        str | None, typer.Option(help="Whose most confident wrong answers are listed; each run's best without it.")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="Confident wrong answers listed of each run.")] = 10,
    alpha: Annotated[float, typer.Option(min=0, max=1, help="Level of the tests against the best method.")] = 0.05,
    all_runs: Annotated[bool, typer.Option("--all-runs", help="Keep repeated runs, not the last one only.")] = False,
    plots: Annotated[bool, typer.Option(help="Also write the pictures as PNG and SVG.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Write the paper's tables over your runs: HTML, Markdown, LaTeX, CSV and pictures."""
    from uq_harness.cli.report import run_report

    run_report(
        results,
        output,
        reference=reference,
        title=title,
        method=method,
        examples=examples,
        alpha=alpha,
        all_runs=all_runs,
        pictures=plots,
        as_json=as_json,
    )
