"""The abstention threshold that bounds the error rate of answered questions."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._tie_groups import checked_answers

# Coverages that are tried, evenly spaced: more of them are closer to the best one, but share the same δ, which few
# answers cannot bear.
_FEWEST, _MOST, _ANSWERS_EACH = 20, 50, 40


class RiskThreshold(NamedTuple):
    """When to answer, and what is known of the answers that are then given.

    Attributes:
        threshold: Answer where the score is below it: ``inf`` wherever there is a score, ``-inf`` never.
        target: Highest error rate allowed among given answers.
        delta: Probability, over the choice of calibration data, that the error rate is higher all the same.
        answers: Number of calibration answers, those without a score included.
        answered: How many of them are below the threshold.
        errors: How many of these are wrong.
        risk_bound: Upper bound of the error rate among given answers, at the level of the test that was passed; ``nan``
            where nothing is answered.
        tests: Number of thresholds that shared ``delta``.
    """

    threshold: float
    target: float
    delta: float
    answers: int
    answered: int
    errors: int
    risk_bound: float
    tests: int

    @property
    def reachable(self) -> bool:
        """Whether there is a threshold that keeps the target."""
        return self.threshold > -math.inf

    @property
    def risk(self) -> float:
        """Error rate among the calibration answers below the threshold, ``nan`` without any."""
        return self.errors / self.answered if self.answered else float("nan")

    @property
    def coverage(self) -> float:
        """Share of the calibration answers below the threshold."""
        return self.answered / self.answers if self.answers else float("nan")


class TriedThreshold(NamedTuple):
    """One of the thresholds that `control_risk` tries, and what is known of the answers below it.

    Attributes:
        threshold: The threshold; ``inf`` wherever there is a score.
        answered: Number of calibration answers below it.
        errors: How many of these are wrong.
        risk_bound: Upper bound of their error rate; it holds for all thresholds at once with probability 1 - δ. The
            threshold keeps a target if this is not above it.
    """

    threshold: float
    answered: int
    errors: int
    risk_bound: float


def tried_thresholds(
    uncertainty: ArrayLike, correct: ArrayLike, target: float, delta: float = 0.05
) -> list[TriedThreshold]:
    """The thresholds that `control_risk` tries, from few answers to all that have a score.

    Args:
        uncertainty: As for `control_risk`.
        correct: As for `control_risk`.
        target: As for `control_risk`; thresholds at which even no error would not keep it are not tried.
        delta: As for `control_risk`.

    Raises:
        UQHarnessError: As for `control_risk`.

    >>> scores = [i / 200 for i in range(200)]
    >>> tried = tried_thresholds(scores, [score < 0.7 for score in scores], target=0.1)
    >>> [(one.answered, one.errors, round(one.risk_bound, 3)) for one in tried[-3:]]
    [(180, 40, 0.317), (190, 50, 0.358), (200, 60, 0.395)]
    """
    from scipy.stats import beta

    for name, value in (("target", target), ("delta", delta)):
        if not 0 < value < 1:
            raise UQHarnessError(f"{name} is {value!r}, but must be between 0 and 1, such as 0.05")
    scores, right = checked_answers(uncertainty, correct)
    finite = np.isfinite(scores)
    ordered = np.sort(scores[finite])
    counts = _counts(len(ordered), target, delta)
    thresholds = np.array([ordered[count] if count < len(ordered) else np.inf for count in counts])
    answered = np.searchsorted(ordered, thresholds)
    errors = np.searchsorted(np.sort(scores[finite & ~right]), thresholds)
    highest = beta.isf(delta / max(len(counts), 1), errors + 1, np.maximum(answered - errors, 1))
    bounds = np.where(errors < answered, highest, 1.0)
    return [
        TriedThreshold(float(threshold), int(n), int(wrong), float(bound))
        for threshold, n, wrong, bound in zip(thresholds, answered, errors, bounds, strict=True)
    ]


def control_risk(uncertainty: ArrayLike, correct: ArrayLike, target: float, delta: float = 0.05) -> RiskThreshold:
    """Finds the threshold that answers most, while at most ``target`` of the answers given are wrong.

    With probability ``1 - delta`` over the calibration answers, the error rate among future answers whose score is
    below the threshold is at most ``target``, provided that questions come from the same source and independently.
    Nothing is assumed of scores, nor that lower ones are better.

    It is Learn-then-Test with the exact binomial bound of SGR. Thresholds are the scores at ranks that are fixed by the
    number of answers alone (every 5 % of coverage, every 2 % with 2,000 answers and more, less those that no outcome
    could pass), and "answer whenever there is a score". Given the score at a rank, the answers strictly below it are
    independent draws from those that such a threshold lets through, ties or not; so the number of wrong ones is
    binomial, and ``P(Bin(answered, target) <= errors)`` is a p-value of "the error rate is above the target".
    Bonferroni's correction makes all of them hold together. SGR's own binary search is not used: its ranks depend on
    the outcomes, which its correction leaves out.

    Args:
        uncertainty: Scores of calibration answers, shape ``(answers,)``, higher = more uncertain. An answer without a
            finite score is one to abstain from.
        correct: 1 for a right answer, 0 for a wrong one.
        target: Highest error rate allowed among given answers, between 0 and 1.
        delta: Allowed probability that it is exceeded, between 0 and 1.

    Raises:
        UQHarnessError: Shapes do not match, ``correct`` holds anything but 0 and 1, ``target`` or ``delta`` is out of
            range.

    Source:
        Angelopoulos et al. 2021, arXiv 2110.01052 (Learn then Test); Geifman and El-Yaniv 2017, arXiv 1705.08500 (SGR);
        Clopper and Pearson 1934, Biometrika 26.

    >>> scores = [i / 200 for i in range(200)]
    >>> found = control_risk(scores, [score < 0.7 for score in scores], target=0.1)
    >>> found.threshold, found.answered, found.errors, round(found.risk_bound, 4)
    (0.7, 140, 0, 0.0399)
    >>> control_risk(scores, [False] * 200, target=0.1).reachable
    False
    """
    from scipy.stats import binom

    tried = tried_thresholds(uncertainty, correct, target, delta)
    total, tests = len(np.asarray(uncertainty)), len(tried)
    errors, answered = ([one.errors for one in tried], [one.answered for one in tried])
    passed = np.flatnonzero(binom.cdf(errors, answered, target) <= delta / max(tests, 1))
    if not len(passed):
        return RiskThreshold(-math.inf, target, delta, total, 0, 0, float("nan"), tests)
    best = tried[passed[-1]]
    return RiskThreshold(best.threshold, target, delta, total, best.answered, best.errors, best.risk_bound, tests)


def _counts(n: int, target: float, delta: float) -> list[int]:
    """Numbers of answers given at which to test, ascending: those at which even no error at all would pass."""
    steps = min(max(n // _ANSWERS_EACH, _FEWEST), _MOST)
    counts = sorted({round(n * step / steps) for step in range(1, steps + 1)} - {0})
    while counts and (1 - target) ** counts[0] > delta / len(counts):
        counts.pop(0)
    return counts
