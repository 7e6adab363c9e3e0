"""The comparison itself: a test for every method and for accuracy, corrected over all of them, and a verdict each."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from uq_harness.comparison.comparable import check_allowed, differences, refuse, settings_that_differ
from uq_harness.comparison.losses import Loss, Tolerance, find_losses
from uq_harness.comparison.measures import ACCURACY, LARGE_CHANGE, POWER, TESTS, Difference
from uq_harness.comparison.pairs import Pair, pair_runs
from uq_harness.errors import UQHarnessError, one_of
from uq_harness.functional import MEASURES, detectable_difference, holm, paired_accuracy
from uq_harness.rendering.bar import bar_if_slow
from uq_harness.results.run import TaskRun


@dataclass(frozen=True, eq=False)
class TaskComparison:
    """All differences of one task under one judge.

    Attributes:
        pair: The runs, aligned.
        rows: Accuracy, then the methods of both runs.
        only_baseline: Methods that only the baseline has.
        only_candidate: Methods that only the candidate has.
        losses: What keeps the runs from being compared in full.
        allowed: Differences that would forbid the comparison, had they not been allowed.
        settings: Settings that differ otherwise.
    """

    pair: Pair
    rows: tuple[Difference, ...]
    only_baseline: tuple[str, ...]
    only_candidate: tuple[str, ...]
    losses: tuple[Loss, ...] = ()
    allowed: dict[str, str] = field(default_factory=dict)
    settings: dict[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Comparison:
    """A candidate against a baseline on all tasks.

    Attributes:
        tasks: The tasks.
        alpha: Probability of any false verdict where nothing has changed.
        min_effect: Smaller differences give no verdict.
        missing: Runs of the baseline that the candidate has no counterpart to.
    """

    tasks: tuple[TaskComparison, ...]
    alpha: float
    min_effect: float
    missing: tuple[str, ...] = ()

    @property
    def rows(self) -> list[Difference]:
        """All differences of all tasks."""
        return [row for task in self.tasks for row in task.rows]

    @property
    def regression(self) -> bool:
        """Whether anything is worse."""
        return any(row.verdict == "worse" for row in self.rows)

    @property
    def losses(self) -> list[tuple[str, Loss]]:
        """What keeps the runs from being compared in full, each with its task's title."""
        missing = [(title, Loss("task", "", f"the candidate does not have the run {title}")) for title in self.missing]
        return missing + [(task.pair.title, loss) for task in self.tasks for loss in task.losses]

    @property
    def detectable(self) -> tuple[float, float] | None:
        """The least changes for the worse that are found with `POWER`: the smallest over all rows, and the largest.

        ``None`` where the two sides are the same on every question of every task.
        """
        known = [row.detectable for row in self.rows if not math.isnan(row.detectable)]
        return (min(known), max(known)) if known else None

    @property
    def low_power(self) -> bool:
        """Whether a large change could be missed in some number, so that no finding is no reassurance."""
        return self.detectable is not None and self.detectable[1] > max(LARGE_CHANGE, 2 * self.min_effect)

    @property
    def passed(self) -> bool:
        """Whether the gate opens: everything could be compared, and nothing is worse."""
        return not self.regression and not self.losses


def compare_runs(
    baseline: Sequence[TaskRun],
    candidate: Sequence[TaskRun],
    *,
    alpha: float = 0.05,
    min_effect: float = 0.0,
    methods: Collection[str] = (),
    measures: Collection[str] = ("auroc",),
    allow_different: Collection[str] = (),
    min_common: float = 0.95,
    min_scored: float = 0.95,
) -> Comparison:
    """Compares two models, or two versions of one, on the questions that both answered.

    Accuracies are tested by `paired_accuracy`, methods by `paired_auroc`, `paired_aurc` and `paired_prr`, question by
    question; Holm's correction over all tests keeps the probability of any false verdict at ``alpha``.

    Args:
        baseline: Runs to compare with, as `load_runs` reads them.
        candidate: Runs to judge.
        alpha: Probability of any false verdict where nothing has changed.
        min_effect: Least difference, as a fraction, that counts as better or worse.
        methods: Methods to look at; all if there are none. Fewer tests find smaller differences.
        measures: Of ``auroc``, ``aurc`` and ``prr`` those to look at.
        allow_different: Of ``version``, ``prompt``, ``judge`` and ``split`` those in which runs may differ.
        min_common: Least share of the baseline's questions that the candidate must have answered and had judged.
        min_scored: Least share of a method's scores that both sides must have.

    Raises:
        UQHarnessError: A setting is out of range, or runs cannot be compared; the message names every difference.
    """
    check_allowed(allow_different)
    if not 0 < alpha < 1:
        raise UQHarnessError(f"alpha is {alpha!r}, but must be between 0 and 1")
    if not 0 <= min_effect < 1:
        raise UQHarnessError(
            f"min_effect is {min_effect!r}, but must be 0 or more and below 1, such as 0.01 for one point"
        )
    for measure in measures:
        if measure not in MEASURES:
            raise UQHarnessError(f"the measure {measure!r} is not known: there are {one_of(list(MEASURES))}")
    tolerance = Tolerance(min_common, min_scored)
    _check_methods(methods, baseline, candidate)
    pairs, missing = pair_runs(baseline, candidate, any_judge="judge" in allow_different)
    for pair in pairs:
        refuse(pair, allow_different)
    tasks = [_compare_pair(pair, methods, measures, 1 - alpha, tolerance) for pair in pairs]
    return replace(_with_verdicts(tasks, alpha, min_effect), missing=missing)


def _check_methods(methods: Collection[str], baseline: Sequence[TaskRun], candidate: Sequence[TaskRun]) -> None:
    """A method that is named must be on both sides: a gate that passes because it is missing would not be a gate."""
    sides = [{method for run in runs for method in run.uncertainty} for runs in (baseline, candidate)]
    for method in methods:
        if method not in sides[0] & sides[1]:
            where = "no run" if method not in sides[0] | sides[1] else f"the {_lacking(method, sides)}"
            both = ", ".join(sorted(sides[0] & sides[1])) or "none"
            raise UQHarnessError(f"{where} has the method {method!r}: both sides have {both}")


def _lacking(method: str, sides: Sequence[Collection[str]]) -> str:
    return "candidate alone" if method in sides[1] else "baseline alone"


def _compare_pair(
    pair: Pair, methods: Collection[str], measures: Collection[str], level: float, tolerance: Tolerance
) -> TaskComparison:
    a, b = pair.baseline, pair.candidate
    wanted = [method for method in dict.fromkeys([*a.uncertainty, *b.uncertainty]) if not methods or method in methods]
    common = [method for method in wanted if method in a.uncertainty and method in b.uncertainty]
    tests = [(method, measure) for method in common for measure in measures]
    told = bar_if_slow(tests, what=f"{a.task}: paired tests", unit="test")
    rows = (_accuracy(pair, level), *(_quality(pair, method, measure, level) for method, measure in told))
    only_baseline = tuple(method for method in wanted if method not in b.uncertainty)
    return TaskComparison(
        pair=pair,
        rows=rows,
        only_baseline=only_baseline,
        losses=find_losses(pair, rows, only_baseline, tolerance),
        only_candidate=tuple(method for method in wanted if method not in a.uncertainty),
        allowed=differences(pair),
        settings=settings_that_differ(pair),
    )


def _accuracy(pair: Pair, level: float) -> Difference:
    a, b = pair.baseline, pair.candidate
    started = time.perf_counter()
    found = paired_accuracy(b.correct, a.correct, level)
    return Difference(
        measure=ACCURACY,
        method="",
        n=found.n,
        baseline=a.accuracy,
        candidate=b.accuracy,
        difference=found.difference,
        interval=found.interval,
        p_value=found.p_value,
        stderr=found.stderr,
        seconds=time.perf_counter() - started,
    )


def _quality(pair: Pair, method: str, measure: str, level: float) -> Difference:
    a, b = pair.baseline, pair.candidate
    started = time.perf_counter()
    found = TESTS[measure](b.uncertainty[method], a.uncertainty[method], b.correct, a.correct, level)
    return Difference(
        measure=measure,
        method=method,
        n=found.n,
        baseline=found.second,
        candidate=found.first,
        difference=found.difference,
        interval=found.interval,
        p_value=found.p_value,
        stderr=found.stderr,
        seconds=time.perf_counter() - started,
    )


def _with_verdicts(tasks: Sequence[TaskComparison], alpha: float, min_effect: float) -> Comparison:
    """Holm's correction over the rows of all tasks, and what it leaves."""
    adjusted = holm([row.p_value for task in tasks for row in task.rows]).tolist()
    tests = sum(not math.isnan(p) for p in adjusted)
    next_p = iter(adjusted)

    def judge(row: Difference) -> Difference:
        reach = detectable_difference(row.stderr, alpha, max(tests, 1), POWER, min_effect)
        return replace(_with_verdict(row, next(next_p), alpha, min_effect), detectable=reach)

    judged = [replace(task, rows=tuple(judge(row) for row in task.rows)) for task in tasks]
    return Comparison(tuple(judged), alpha, min_effect)


def _with_verdict(row: Difference, p_adjusted: float, alpha: float, min_effect: float) -> Difference:
    if math.isnan(p_adjusted):
        verdict = "undefined"
    elif p_adjusted > alpha:
        verdict = "unchanged"
    elif abs(row.difference) < min_effect:
        verdict = "small"
    else:
        verdict = "better" if row.improved else "worse"
    return replace(row, p_adjusted=p_adjusted, verdict=verdict)
