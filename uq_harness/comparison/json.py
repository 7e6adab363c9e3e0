"""A comparison as plain values for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from uq_harness.comparison.compare import Comparison, TaskComparison
from uq_harness.comparison.measures import POWER, Difference
from uq_harness.files import plain
from uq_harness.results.run import TaskRun


def as_values(comparison: Comparison) -> dict[str, Any]:
    """Everything a comparison holds, undefined numbers as ``None``."""
    values = {
        "passed": comparison.passed,
        "regression": comparison.regression,
        "losses": [{"run": title, **asdict(loss)} for title, loss in comparison.losses],
        "power": POWER,
        "detectable": comparison.detectable,
        "low_power": comparison.low_power,
        "alpha": comparison.alpha,
        "min_effect": comparison.min_effect,
        "correction": "holm",
        "tasks": [_task(task) for task in comparison.tasks],
    }
    as_json: dict[str, Any] = plain(values)
    return as_json


def _task(task: TaskComparison) -> dict[str, Any]:
    pair = task.pair
    return {
        "task": pair.baseline.task,
        "baseline": _run(pair.baseline),
        "candidate": _run(pair.candidate),
        "questions": len(pair.baseline),
        "questions_only_in_baseline": pair.only_baseline,
        "questions_only_in_candidate": pair.only_candidate,
        "repeated_answers": pair.repeated,
        "methods_only_in_baseline": list(task.only_baseline),
        "methods_only_in_candidate": list(task.only_candidate),
        "allowed_differences": task.allowed,
        "settings_that_differ": {name: list(values) for name, values in task.settings.items()},
        "comparisons": [_row(row) for row in task.rows],
    }


def _row(row: Difference) -> dict[str, Any]:
    """A row without the time that it took, which would make equal comparisons differ."""
    return {name: value for name, value in asdict(row).items() if name != "seconds"}


def _run(run: TaskRun) -> dict[str, Any]:
    date = run.date.isoformat() if run.date else None
    return {"model": run.model, "judge": run.judge, "date": date, "path": str(run.path), "versions": run.versions}
