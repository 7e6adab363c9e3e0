"""``uq-harness threshold``: finds the abstention threshold of a run, and puts the policy in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uq_harness.cli.app import DECIDE, app, example
from uq_harness.cli.arguments import AsJson, NoPlots
from uq_harness.errors import UQHarnessError
from uq_harness.files import as_text
from uq_harness.rendering.escape import visible

if TYPE_CHECKING:
    from uq_harness.abstention.policy import Policy
    from uq_harness.results.run import TaskRun


@app.command(
    rich_help_panel=DECIDE,
    epilog=example("uq-harness threshold results --methods semgrad --target 0.2 --output policy"),
)
def threshold(
    results: Annotated[list[Path], typer.Argument(help="Results of a run: files or folders that lm_eval wrote.")],
    target: Annotated[
        float, typer.Option(help="Highest error rate among the answers given: 0.1 is 10 %.", metavar="SHARE")
    ],
    methods: Annotated[
        str, typer.Option(help="Uncertainty method; may be left out if there is only one.", metavar="METHOD")
    ] = "",
    delta: Annotated[
        float, typer.Option(help="Allowed probability that the error rate is higher.", metavar="SHARE")
    ] = 0.05,
    tasks: Annotated[str, typer.Option(help="Task, if there are several.", metavar="TASK")] = "",
    judge: Annotated[str, typer.Option(help="Judge, if there are several.", metavar="JUDGE")] = "",
    model: Annotated[str, typer.Option(help="Model, if there are several.", metavar="MODEL")] = "",
    output: Annotated[
        Path | None, typer.Option(help="Folder for threshold.json and the reliability diagram.", metavar="DIR")
    ] = None,
    no_plots: NoPlots = False,
    as_json: AsJson = False,
) -> None:
    """Find the score from which on to abstain, so that few of the answers given are wrong."""
    from uq_harness.abstention.diagram import draw_reliability
    from uq_harness.abstention.policy import as_values, make_policy
    from uq_harness.results.load import load_runs

    run = _choose_run(load_runs(results), task=tasks, judge=judge, model=model)
    policy = make_policy(run, _choose_method(run, methods), target, delta)
    written = as_text(as_values(policy), indent=2)
    files: list[Path] = []
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        files = [output / "threshold.json"]
        files[0].write_text(written + "\n", encoding="utf-8")
        files += [] if no_plots else draw_reliability(policy, output / "reliability")
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
    kinds = dict.fromkeys(f"--model {run.model} --tasks {run.task} --judge {run.judge}" for run in found or runs)
    listed = "; ".join(kinds)
    options = {"model": "--model", "task": "--tasks", "judge": "--judge"}
    given = " ".join(f"{options[name]} {value}" for name, value in wanted.items() if value)
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
    raise UQHarnessError(f"--methods is needed, since there are several: {', '.join(run.uncertainty)}")


def _summary(policy: Policy, files: Sequence[Path]) -> str:
    """The policy for readers."""
    rule, held_out = policy.rule, policy.held_out
    confidence = f"with confidence {_percent(1 - rule.delta)}"
    everyone = f"{_percent(1 - policy.run.accuracy, 1)} of all answers are wrong"
    if rule.reachable:
        low, high = policy.coverage_interval
        when = "it has a score" if rule.threshold == float("inf") else f"{policy.method} is below {rule.threshold:.6g}"
        lines = [
            f"Give an answer if {when}; else abstain.",
            f"Then at most {_percent(rule.target)} of the answers given are wrong, {confidence}.",
            f"Answered: {rule.answered} of {rule.answers} questions, {_percent(rule.coverage, 1)} (95% interval "
            f"{_percent(low, 1)} to {_percent(high, 1)}). Wrong among them: {rule.errors}, {_percent(rule.risk, 1)} "
            f"(upper bound {_percent(rule.risk_bound, 1)}). {everyone}.",
        ]
    else:
        lines = [
            f"No threshold on {policy.method} keeps the error rate at {_percent(rule.target)} {confidence}: always "
            "abstain.",
            f"{everyone}. {_out_of_reach(policy)}",
            "A higher --target, a higher --delta, more questions or a better method may help.",
        ]
    tried = f"{_percent(held_out.coverage, 1)} answered, {_percent(held_out.risk, 1)} of them wrong"
    lines.append(
        f"Held-out halves ({held_out.splits} random splits, thresholds from half as many answers): "
        f"{tried if held_out.coverage else 'nothing answered'}; probabilities of error have ECE "
        f"{_percent(held_out.calibration_error, 1)}."
    )
    lines += [f"Wrote {file}" for file in files]
    return "\n".join(map(visible, lines))


def _out_of_reach(policy: Policy) -> str:
    """Why no threshold is good enough: what has to be below the target is the bound, not the rate itself."""
    rule = policy.rule
    if not policy.tried:
        return f"There are too few answers: even without an error among them, {rule.answers} would not show it."
    best = min(policy.tried, key=lambda one: one.risk_bound)
    return (
        "What has to be at the target or below it is the upper bound of the error rate. It is lowest, "
        f"{_percent(best.risk_bound, 1)}, where {best.answered} of {rule.answers} questions are answered, "
        f"{best.errors} of them wrongly ({_percent(best.errors / best.answered, 1)})."
    )


def _percent(share: float, digits: int | None = None) -> str:
    return f"{100 * share:.3g}%" if digits is None else f"{100 * share:.{digits}f}%"
