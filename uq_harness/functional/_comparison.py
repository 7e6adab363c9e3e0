"""Whether one uncertainty score, or one model, is better than another: paired tests, and Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import FloatArray, as_floats, as_unit_interval, check_lengths
from uq_harness.functional._components import aurc_components, auroc_components, prr_components, spread
from uq_harness.functional._quality import aurc, auroc, prr
from uq_harness.functional._tie_groups import as_verdicts, checked_answers


class QualityDifference(NamedTuple):
    """First score's quality minus second's, over the questions that both score.

    Attributes:
        difference: In the metric's own direction; ``nan`` where either side is undefined.
        stderr: Its standard error; ``nan`` where that of either side is undefined.
        interval: Lower and upper end of the confidence interval.
        p_value: Two-sided, of no difference; 1 where the two are the same on every question.
        n: Number of questions with a finite score on both sides.
        first: The first metric over these questions.
        second: The second.
    """

    difference: float
    stderr: float
    interval: tuple[float, float]
    p_value: float
    n: int
    first: float
    second: float


AurocDifference = QualityDifference


class AccuracyDifference(NamedTuple):
    """First accuracy minus second, over the same questions.

    Attributes:
        difference: Above 0 where the first is better; ``nan`` without questions.
        interval: Lower and upper end of the confidence interval, within -1 and 1.
        p_value: Two-sided, of no difference.
        n: Number of questions.
        stderr: Standard error of the difference, the one behind the interval.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float
    n: int
    stderr: float = float("nan")


def auroc_covariance(uncertainties: ArrayLike, correct: ArrayLike) -> FloatArray:
    """Covariance of several scores' AUROCs over the same answers, by DeLong's method.

    Each AUROC is that of its own rows with a finite score; rows that two scores share make them correlated.

    Args:
        uncertainties: Shape ``(methods, answers)``, higher = more uncertain.
        correct: 1 for a right answer, 0 for a wrong one, shape ``(answers,)``.

    Returns:
        Shape ``(methods, methods)``, positive semi-definite; its diagonal is the square of `auroc_stderr`. Rows and
        columns of a score with fewer than two right or two wrong answers are ``nan``.

    Raises:
        UQHarnessError: Shapes do not match, or ``correct`` holds anything but 0 and 1.

    Source:
        DeLong et al. 1988, Biometrics 44; in O(n log n), as Sun and Xu 2014 showed to be possible.

    >>> auroc_covariance([[0.1, 0.4, 0.4, 0.9], [0.1, 0.5, 0.3, 0.7]], correct=[1, 1, 0, 0]).round(4).tolist()
    [[0.0312, 0.0625], [0.0625, 0.125]]
    """
    scores = as_floats("uncertainties", uncertainties, ndim=2)
    components = np.reshape([auroc_components(row, correct) for row in scores], scores.shape)
    return np.asarray(components @ components.T, dtype=np.float64)


def paired_auroc(
    first: ArrayLike,
    second: ArrayLike,
    correct: ArrayLike,
    correct_second: ArrayLike | None = None,
    level: float = 0.95,
) -> QualityDifference:
    """Difference of two AUROCs over the same questions, with interval and test.

    Two methods on the same answers share ``correct``: this is DeLong's paired test. Two models answer the same
    questions differently, so a question that one gets right may be wrong for the other; the difference of its two
    components still gives the variance (Obuchowski's for clustered data, a question being a cluster of two answers),
    which is DeLong's again where correctness agrees. Questions without a finite score on both sides are left out.

    Args:
        first: Scores of one method, shape ``(questions,)``, higher = more uncertain.
        second: Scores of the other.
        correct: 1 for a right answer, 0 for a wrong one.
        correct_second: The same of the second model's answers; ``correct`` if it is not given.
        level: Confidence level of the interval.

    Raises:
        UQHarnessError: Shapes do not match, correctness is not 0 or 1, or ``level`` is not between 0 and 1.

    Source:
        DeLong et al. 1988, Biometrics 44; two label vectors: Obuchowski 1997, Biometrics 53.

    >>> correct = [1, 1, 1, 0, 1, 0, 0, 1]
    >>> found = paired_auroc([1, 2, 3, 4, 5, 6, 7, 8], [8, 2, 3, 6, 4, 1, 5, 7], correct)
    >>> found.n, round(found.difference, 4), round(found.stderr, 4), round(found.p_value, 4)
    (8, 0.3333, 0.3018, 0.2695)
    """
    found = _paired(auroc, auroc_components, first, second, correct, correct_second, level)
    low, high = found.interval
    return found._replace(interval=(_within_one(low), _within_one(high)))


def paired_aurc(
    first: ArrayLike,
    second: ArrayLike,
    correct: ArrayLike,
    correct_second: ArrayLike | None = None,
    level: float = 0.95,
) -> QualityDifference:
    """Difference of two AURCs over the same questions, with interval and test; below 0 the first is better.

    Arguments and errors are those of `paired_auroc`. The variance is that of the infinitesimal jackknife over
    questions, which agrees with a bootstrap over questions and needs no random numbers.

    Source:
        Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6.

    >>> found = paired_aurc([1, 2, 3, 4, 5, 6, 7, 8], [8, 2, 3, 6, 4, 1, 5, 7], [1, 1, 1, 0, 1, 0, 0, 1])
    >>> found.n, round(found.difference, 4), round(found.stderr, 4)
    (8, -0.275, 0.1814)
    """
    return _paired(aurc, aurc_components, first, second, correct, correct_second, level)


def paired_prr(
    first: ArrayLike,
    second: ArrayLike,
    correct: ArrayLike,
    correct_second: ArrayLike | None = None,
    level: float = 0.95,
) -> QualityDifference:
    """Difference of two PRRs over the same questions, as `paired_aurc`; above 0 the first is better.

    >>> found = paired_prr([1, 2, 3, 4, 5, 6, 7, 8], [8, 2, 3, 6, 4, 1, 5, 7], [1, 1, 1, 0, 1, 0, 0, 1])
    >>> found.n, round(found.difference, 4), round(found.stderr, 4)
    (8, 1.0126, 0.6401)
    """
    return _paired(prr, prr_components, first, second, correct, correct_second, level)


def _paired(
    metric: Callable[[ArrayLike, ArrayLike], float],
    components: Callable[[ArrayLike, ArrayLike], FloatArray],
    first: ArrayLike,
    second: ArrayLike,
    correct: ArrayLike,
    correct_second: ArrayLike | None,
    level: float,
) -> QualityDifference:
    """Any metric's difference; its variance is the sum over questions of the two components' squared difference."""
    quantile = _quantile(level)
    (a, right_a), (b, right_b) = (
        checked_answers(first, correct),
        checked_answers(second, correct if correct_second is None else correct_second),
    )
    check_lengths(first=a, second=b)
    both = np.isfinite(a) & np.isfinite(b)
    a, b, right_a, right_b = a[both], b[both], right_a[both], right_b[both]
    values = metric(a, right_a), metric(b, right_b)
    difference = values[0] - values[1]
    stderr = spread(components(a, right_a) - components(b, right_b))
    interval = difference - quantile * stderr, difference + quantile * stderr
    return QualityDifference(difference, stderr, interval, _two_sided(difference, stderr), int(both.sum()), *values)


def _two_sided(difference: float, stderr: float) -> float:
    """P-value of a difference that is normal; without any spread, no difference is certain and any other impossible."""
    from scipy.stats import norm

    if stderr == 0:
        return float(difference == 0)
    return float(2 * norm.sf(abs(difference) / stderr))


def _within_one(difference: float) -> float:
    """A difference between two shares is no larger than 1; ``nan`` passes."""
    return float(np.clip(difference, -1.0, 1.0))


def _quantile(level: float) -> float:
    """How many standard errors the interval reaches to either side."""
    from scipy.stats import norm

    if not 0 < level < 1:
        raise UQHarnessError(f"level is {level!r}, but must be between 0 and 1")
    return float(norm.isf((1 - level) / 2))


def paired_accuracy(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> AccuracyDifference:
    """Difference of two models' accuracies over the same questions, with interval and test.

    Args:
        first: 1 where the first model is right, 0 where it is wrong, shape ``(questions,)``.
        second: The same of the second model.
        level: Confidence level of the interval.

    Returns:
        The p-value is McNemar's exact one, which looks at the questions that only one gets right; the interval is
        Bonett and Price's, which keeps its level with few of them.

    Raises:
        UQHarnessError: Lengths do not match, correctness is not 0 or 1, or ``level`` is not between 0 and 1.

    Source:
        McNemar 1947, Psychometrika 12; Bonett and Price 2012, J. Educational and Behavioral Statistics 37.

    >>> found = paired_accuracy([1, 1, 1, 1, 1, 0, 1, 1], [0, 1, 0, 1, 0, 0, 0, 1])
    >>> found.difference, found.p_value
    (0.5, 0.125)
    """
    from scipy.stats import binomtest

    quantile = _quantile(level)
    a, b = as_verdicts("first", first), as_verdicts("second", second)
    check_lengths(first=a, second=b)
    n, only_first, only_second = len(a), int((a & ~b).sum()), int((b & ~a).sum())
    if not n:
        return AccuracyDifference(float("nan"), (float("nan"), float("nan")), float("nan"), 0)
    p_value = float(binomtest(only_first, only_first + only_second).pvalue) if only_first + only_second else 1.0
    p, q = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    stderr = math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    interval = _within_one(p - q - quantile * stderr), _within_one(p - q + quantile * stderr)
    return AccuracyDifference((only_first - only_second) / n, interval, p_value, n, stderr)


def detectable_difference(
    stderr: float, alpha: float = 0.05, tests: int = 1, power: float = 0.8, min_effect: float = 0.0
) -> float:
    """The least true difference that a paired test finds with some probability, by the spread it has seen.

    ``max(z(1 - alpha / (2 tests)) * stderr, min_effect) + z(power) * stderr``, with z the normal quantile: the
    difference that is just significant in a two-sided test at Holm's first and strictest step, and the reach of chance
    beyond it.

    Args:
        stderr: Standard error of the difference.
        alpha: Probability of any false verdict over all tests.
        tests: Number of tests that Holm's correction covers.
        power: Probability of finding the difference.
        min_effect: Least observed difference that counts.

    Returns:
        ``nan`` without a standard error, or where it is 0: two sides that are the same on every question show no
        spread.

    Raises:
        UQHarnessError: ``alpha`` or ``power`` is not between 0 and 1, or ``tests`` is below 1.

    Source:
        Bloom 1995, Evaluation Review 19 (minimum detectable effects); Holm 1979, Scandinavian Journal of Statistics 6.

    >>> round(detectable_difference(0.02), 3), round(detectable_difference(0.02, tests=10), 3)
    (0.056, 0.073)
    """
    from scipy.stats import norm

    for name, value in (("alpha", alpha), ("power", power)):
        if not 0 < value < 1:
            raise UQHarnessError(f"{name} is {value!r}, but must be between 0 and 1")
    if tests < 1:
        raise UQHarnessError(f"tests is {tests!r}, but must be 1 or more")
    if not stderr > 0:
        return float("nan")
    significant = float(norm.isf(alpha / (2 * tests))) * stderr
    return max(significant, min_effect) + float(norm.isf(1 - power)) * stderr


def holm(p_values: ArrayLike) -> FloatArray:
    """P-values adjusted for being looked at together, by Holm's step-down method.

    Rejecting where the adjusted value is at most α keeps the probability of any false rejection at α, however the tests
    depend on each other.

    Args:
        p_values: Shape ``(tests,)``; a ``nan`` is not a test and stays ``nan``.

    Returns:
        Same shape and order, at least the p-values, at most 1.

    Raises:
        UQHarnessError: A p-value is not between 0 and 1.

    Source:
        Holm 1979, Scandinavian Journal of Statistics 6.

    >>> holm([0.01, 0.04, 0.03, 0.005]).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    values = as_unit_interval("p_values", p_values, ndim=1)
    adjusted = np.full(len(values), np.nan)
    tests = np.flatnonzero(~np.isnan(values))
    order = tests[np.argsort(values[tests], kind="stable")]
    steps = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
