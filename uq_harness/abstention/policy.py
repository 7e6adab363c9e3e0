"""A policy of abstention from one run: threshold, error probabilities, their check, and where they come from."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from uq_harness.abstention.abstainer import FORMAT
from uq_harness.abstention.held_out import HeldOut, check_on_halves
from uq_harness.errors import UQHarnessError
from uq_harness.files import plain
from uq_harness.functional import (
    ErrorCurve,
    RiskThreshold,
    TriedThreshold,
    control_risk,
    error_curve,
    tried_thresholds,
)
from uq_harness.rendering.paths import name_of_model, without_paths
from uq_harness.results.run import TaskRun
from uq_harness.results.settings import answer_settings, model_arguments

_GUARANTEE = (
    "Learn-then-Test with exact binomial (Clopper-Pearson) bounds and Bonferroni's correction over thresholds at ranks "
    "fixed in advance; for questions drawn independently from the same source as the calibration questions"
)


@dataclass(frozen=True, eq=False)
class Policy:
    """When to abstain, by one method's scores.

    Attributes:
        run: The run it was made from, each question once.
        method: The method.
        rule: The threshold and what is known of it.
        tried: The thresholds that were tried, each with the upper bound of the error rate.
        curve: Map from score to probability of error.
        held_out: Both, made from one half of the answers and tried on the other.
        repeated: Number of answers left out because their question had been asked before.
    """

    run: TaskRun
    method: str
    rule: RiskThreshold
    tried: tuple[TriedThreshold, ...]
    curve: ErrorCurve
    held_out: HeldOut
    repeated: int

    @property
    def coverage_interval(self) -> tuple[float, float]:
        """95 % interval of the share of future answers that are below the threshold (Clopper and Pearson)."""
        from scipy.stats import beta

        given, n = self.rule.answered, self.rule.answers
        low = float(beta.ppf(0.025, given, n - given + 1)) if given else 0.0
        high = float(beta.ppf(0.975, given + 1, n - given)) if given < n else 1.0
        return low, high


def make_policy(run: TaskRun, method: str, target: float, delta: float) -> Policy:
    """Makes and checks a policy.

    Args:
        run: A run with samples.
        method: One of its methods.
        target: Highest error rate allowed among given answers.
        delta: Allowed probability that it is exceeded.

    Raises:
        UQHarnessError: The run does not have the method or any score of it, or ``target`` or ``delta`` is out of range.
    """
    if method not in run.uncertainty:
        raise UQHarnessError(f"{run.task} has no method {method!r}: it has {', '.join(run.uncertainty) or 'none'}")
    rows = np.array(list(run.first_rows().values()))
    distinct = run.take(rows)
    scores, correct = distinct.uncertainty[method], distinct.correct
    if not np.isfinite(scores).any():
        raise UQHarnessError(f"{method} is undefined for every answer of {run.task}: choose another method")
    rule = control_risk(scores, correct, target, delta)
    return Policy(
        run=distinct,
        method=method,
        rule=rule,
        tried=tuple(tried_thresholds(scores, correct, target, delta)),
        curve=error_curve(scores, correct),
        held_out=check_on_halves(scores, correct, target, delta),
        repeated=run.duplicates,
    )


def as_values(policy: Policy) -> dict[str, Any]:
    """The policy as plain values, as `Abstainer.load` reads them from JSON."""
    run, rule, held_out = policy.run, policy.rule, policy.held_out
    values = {
        "format": FORMAT,
        "method": policy.method,
        "answer": {math.inf: "all", -math.inf: "none"}.get(rule.threshold, "below"),
        "threshold": rule.threshold,
        "target": rule.target,
        "delta": rule.delta,
        "guarantee": _GUARANTEE,
        "thresholds_tried": rule.tests,
        "tried": [one._asdict() for one in policy.tried],
        "calibration": {
            "answers": rule.answers,
            "answered": rule.answered,
            "errors": rule.errors,
            "error_rate": rule.risk,
            "error_rate_bound": rule.risk_bound,
            "error_rate_of_all": 1 - run.accuracy,
            "coverage": rule.coverage,
            "coverage_interval": policy.coverage_interval,
            "undefined_scores": int((~np.isfinite(run.uncertainty[policy.method])).sum()),
            "repeated_answers": policy.repeated,
        },
        "held_out_halves": {name: value for name, value in asdict(held_out).items() if name != "bins"},
        "reliability": [asdict(b) for b in held_out.bins],
        "error_curve": {
            "scores": policy.curve.scores.tolist(),
            "probabilities": policy.curve.probabilities.tolist(),
        },
        "source": {
            "model": name_of_model(run.model),
            "task": run.task,
            "judge": without_paths(run.judge_settings) or {"name": run.judge},
            "date": run.date.isoformat() if run.date else None,
            "path": run.path.name,
            "versions": run.versions,
            "weights": run.model_settings.get("model_weights"),
            "model_args": without_paths(model_arguments(run)),
            "uncertainty": without_paths(run.model_settings.get("uncertainty")),
            "settings": without_paths(answer_settings(run)),
            "prompts": _prompts(run),
            "generation": _generation(run),
        },
    }
    as_json: dict[str, Any] = plain(values)
    return as_json


def _prompts(run: TaskRun) -> dict[str, Any]:
    """What the run's prompts are made of, as far as it is a text."""
    task = run.task_settings
    texts = {name: task.get(name) for name in ("doc_to_text", "description", "gen_prefix")}
    texts["system_instruction"] = run.configuration.get("system_instruction")
    noted = run.configuration.get("n-shot")
    shots = noted.get(run.task) if isinstance(noted, dict) else task.get("num_fewshot")
    return {**{name: value for name, value in texts.items() if isinstance(value, str)}, "num_fewshot": shots or 0}


def _generation(run: TaskRun) -> dict[str, Any]:
    """How the run's answers end: the task's arguments, and those of ``--gen_kwargs``."""
    given = (run.task_settings.get("generation_kwargs"), run.model_settings.get("gen_kwargs"))
    return {str(name): value for one in given if isinstance(one, dict) for name, value in one.items()}
