"""``uq-harness threshold``: finds the abstention threshold of a run, and puts the policy in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uq_harness.cli.app import app
from uq_harness.errors import UQHarnessError
from uq_harness.files import as_text
from uq_harness.rendering.escape import visible

if TYPE_CHECKING:
    from uq_harness.abstention.policy import Policy
    from uq_harness.results.run import TaskRun


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
    from uq_harness.results.load import load_runs

    run = _choose_run(load_runs(results), task=task, judge=judge, model=model)
    policy = make_policy(run, _choose_method(run, method), target, delta)
    written = as_text(as_values(policy), indent=2)
    files: list[Path] = []
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        files = [output / "threshold.json", *draw_reliability(policy, output / "reliability")]
        files[0].write_text(written + "\n", encoding="utf-8")
    typer.echo(written if as_json else _summary(policy, files))
    if not policy.rule.reachable:
        raise typer.Exit(1)


def _choose_run(runs: Sequence[TaskRun], *, task: str, judge: str, model: str) -> TaskRun:
    """The one run that is meant.

    Raises:
        UQHarnessError: None or several are.
    """
    wanted = {"model": model, "task": task, "judge": judge}
    found = [run for run in runs if all(not value or getattr(run, name) == value for name, value in wanted.items())]
    if len(found) == 1:
        return found[0]
    if len({(run.model, run.task, run.judge) for run in found}) == 1:
        raise UQHarnessError(_several_settings(found))
    kinds = dict.fromkeys(f"--model {run.model} --task {run.task} --judge {run.judge}" for run in found or runs)
    listed = "; ".join(kinds)
    given = " ".join(f"--{name} {value}" for name, value in wanted.items() if value)
    raise UQHarnessError(
        f"several runs are there, say which: {listed}" if found else f"no run fits {given}: there are {listed}"
    )


def _several_settings(runs: Sequence[TaskRun]) -> str:
    """What tells runs of one model, task and judge apart, and how to name one."""
    from uq_harness.results.settings import as_label, telling_settings

    listed = "; ".join(
        f"{run.path} ({as_label(settings) or 'none noted'})"
        for run, settings in zip(runs, telling_settings(runs), strict=True)
    )
    first = runs[0]
    return (
        f"{first.model} on {first.task} ({first.judge}) was run with several settings: {listed}. Give the file of the "
        "run that the application goes by, in place of the folder"
    )


def _choose_method(run: TaskRun, method: str) -> str:
    """The method that is meant.

    Raises:
        UQHarnessError: The run has no score, or several and none is named.
    """
    if method:
        return method
    if len(run.uncertainty) == 1:
        return next(iter(run.uncertainty))
    if not run.uncertainty:
        raise UQHarnessError(f"{run.model} gave no uncertainty on {run.task}: run it with --model uq-hf")
    raise UQHarnessError(f"--method is needed, since there are several: {', '.join(run.uncertainty)}")


def _summary(policy: Policy, files: Sequence[Path]) -> str:
    """The policy for readers."""
    rule, held_out = policy.rule, policy.held_out
    low, high = policy.coverage_interval
    everyone = f"{1 - policy.run.accuracy:.1%} of all {rule.answers} answers are wrong"
    if rule.reachable:
        when = "it has a score" if rule.threshold == float("inf") else f"{policy.method} is below {rule.threshold:.6g}"
        lines = [
            f"Give an answer if {when}; else abstain.",
            f"Then at most {rule.target:.3g} of the answers given are wrong, with confidence {1 - rule.delta:.3g}.",
            f"Answered: {rule.answered} of {rule.answers} ({rule.coverage:.1%}; 95 % interval {low:.1%} to {high:.1%}),"
            f" {rule.errors} wrong ({rule.risk:.1%}, upper bound {rule.risk_bound:.1%}); {everyone}.",
        ]
    else:
        lines = [
            f"No threshold on {policy.method} keeps the error rate at {rule.target:.3g} with confidence "
            f"{1 - rule.delta:.3g}: always abstain.",
            f"{everyone[0].upper()}{everyone[1:]}. A higher --target, a higher --delta, more questions or a better "
            "method may help.",
        ]
    tried = f"{held_out.coverage:.1%} answered, {held_out.risk:.1%} of them wrong"
    lines.append(
        f"Held-out halves ({held_out.splits} random splits, thresholds from half as many answers): "
        f"{tried if held_out.coverage else 'nothing answered'}; probabilities of error have ECE "
        f"{held_out.calibration_error:.1%}."
    )
    lines += [f"Wrote {file}" for file in files]
    return "\n".join(map(visible, lines))
