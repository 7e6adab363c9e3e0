"""``uq-harness threshold``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uq_harness.cli import app


@app.command()
def threshold(
    results: Annotated[list[Path], typer.Argument(help="Results of a run: files or folders that lm_eval wrote.")],
    target: Annotated[float, typer.Option(help="Highest error rate among given answers: 0.1 is one in ten.")],
    method: Annotated[str, typer.Option(help="Uncertainty method; may be left out if there is only one.")] = "",
    delta: Annotated[float, typer.Option(help="Allowed probability that the error rate is higher.")] = 0.05,
    task: Annotated[str, typer.Option(help="Task, if there are several.")] = "",
    judge: Annotated[str, typer.Option(help="Judge, if there are several.")] = "",
    model: Annotated[str, typer.Option(help="Model, if there are several.")] = "",
    output: Annotated[Path | None, typer.Option(help="Folder for threshold.json, reliability.png and .svg.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Find the score from which on to abstain, so that few of the answers given are wrong."""
    from uq_harness.abstention.diagram import draw_reliability
    from uq_harness.abstention.policy import as_values, make_policy
    from uq_harness.cli.threshold import choose_method, choose_run, summary
    from uq_harness.files import as_text
    from uq_harness.results.load import load_runs

    run = choose_run(load_runs(results), task=task, judge=judge, model=model)
    policy = make_policy(run, choose_method(run, method), target, delta)
    written = as_text(as_values(policy), indent=2)
    files: list[Path] = []
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        files = [output / "threshold.json", *draw_reliability(policy, output / "reliability")]
        files[0].write_text(written + "\n", encoding="utf-8")
    typer.echo(written if as_json else summary(policy, files))
    if not policy.rule.reachable:
        raise typer.Exit(1)
