"""What a candidate lost: where it has nothing to compare, it must not pass for unchanged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from uq_harness.comparison.measures import TESTS, Difference
from uq_harness.comparison.pairs import Pair
from uq_harness.errors import UQHarnessError
from uq_harness.results.run import TaskRun


@dataclass(frozen=True)
class Loss:
    """A reason why runs cannot be compared, or not in full.

    Attributes:
        what: ``questions``, ``verdicts``, ``scores``, ``method`` or ``task``; ``undefined`` for a number that cannot be
            tested.
        method: The method that is concerned, empty where all are.
        reason: The reason in words.
    """

    what: str
    method: str
    reason: str


@dataclass(frozen=True)
class Tolerance:
    """How much of the baseline may be missing in the candidate.

    Attributes:
        min_common: Least share of the baseline's questions that the candidate must have answered and had judged.
        min_scored: Least share of a method's scores that both sides must have.
    """

    min_common: float = 0.95
    min_scored: float = 0.95

    def __post_init__(self) -> None:
        """Finds shares that are none.

        Raises:
            UQHarnessError: A share is not between 0 and 1.
        """
        for name, share in (("min_common", self.min_common), ("min_scored", self.min_scored)):
            if not 0 <= share <= 1:
                raise UQHarnessError(f"{name} is {share!r}, but must be a share from 0 to 1, such as 0.95")


def find_losses(
    pair: Pair, rows: Sequence[Difference], only_baseline: Sequence[str], tolerance: Tolerance
) -> tuple[Loss, ...]:
    """Everything that keeps a task from being compared in full.

    Args:
        pair: The runs.
        rows: What was compared.
        only_baseline: Methods that are missing in the candidate.
        tolerance: How much may be missing.
    """
    found = [*_questions(pair, tolerance)]
    found += [Loss("method", method, f"the candidate does not have the method {method}") for method in only_baseline]
    tested = [row for row in rows if row.method]
    scores = {method: _scores(pair, method, tolerance) for method in dict.fromkeys(row.method for row in tested)}
    found += [loss for loss in scores.values() if loss is not None]
    found += [loss for row in tested if scores[row.method] is None for loss in _undefined(pair, row)]
    if not found and tested and all(math.isnan(row.p_value) for row in tested):
        found.append(Loss("undefined", "", "no method can be tested: too few right or wrong answers have a score"))
    return tuple(found)


def _questions(pair: Pair, tolerance: Tolerance) -> Iterator[Loss]:
    """Questions of the baseline that are missing in the candidate; verdicts that are missing on either side."""
    common = len(pair.baseline)
    total = common + pair.only_baseline
    if common / total < tolerance.min_common:
        unanswered = pair.only_baseline - pair.unjudged_candidate
        of = f"of the baseline's {total} questions"
        if unanswered:
            yield Loss("questions", "", f"the candidate did not answer {unanswered} {of}")
        if pair.unjudged_candidate:
            yield Loss("verdicts", "", f"the candidate has no verdict on {pair.unjudged_candidate} {of}")
    answered = common + pair.unjudged_baseline
    if common / answered < tolerance.min_common:
        of = f"of {answered} questions that both answered"
        yield Loss("verdicts", "", f"the baseline has no verdict on {pair.unjudged_baseline} {of}")


def _scores(pair: Pair, method: str, tolerance: Tolerance) -> Loss | None:
    """Scores of one method that one side has and the other does not."""
    sides = {"baseline": pair.baseline, "candidate": pair.candidate}
    scored = {side: np.isfinite(run.uncertainty[method]) for side, run in sides.items()}
    both = int((scored["baseline"] & scored["candidate"]).sum())
    for has, lacks in (("baseline", "candidate"), ("candidate", "baseline")):
        count = int(scored[has].sum())
        if count and both / count < tolerance.min_scored:
            of = f"for {count - both} of the {count} answers that the {has} scores"
            return Loss("scores", method, f"the {lacks} has no score of {method} {of}")
    return None


def _undefined(pair: Pair, row: Difference) -> Iterator[Loss]:
    """A measure that could be tested on the baseline alone, and not between the two."""
    if math.isnan(row.p_value) and _testable(pair.baseline, row):
        yield Loss("undefined", row.method, f"{row.name} is defined for the baseline, and not for the candidate")


def _testable(run: TaskRun, row: Difference) -> bool:
    scores = run.uncertainty[row.method]
    return not math.isnan(TESTS[row.measure](scores, scores, run.correct).p_value)
