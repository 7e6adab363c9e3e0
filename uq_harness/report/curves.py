"""Points of ROC curves, risk-coverage curves and histograms, thinned out to what a picture can show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uq_harness.functional import FloatArray, risk_coverage

_POINTS = 80  # of a curve
_Z = 1.959963984540054  # 97.5 % of a standard normal distribution are below
_BINS = 24
# Scores that span more than this between their 5th and 95th percentile are shown on a logarithmic axis.
_WIDE = 50.0


@dataclass(frozen=True)
class Curve:
    """A line of points with a band, all of the same length.

    Attributes:
        x: Where the points are.
        y: Their heights, which are shares.
        low: Lower ends of the 95 % intervals of these, each by itself (Wilson's).
        high: Their upper ends.
    """

    x: FloatArray
    y: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class Histogram:
    """Shares of the correct and of the wrong answers in bins of the score; each class sums to 1.

    The outermost bins also hold what is beyond them.

    Attributes:
        edges: Ends of the bins, shape ``[bins + 1]``, on the score's scale.
        correct: Share of the correct answers in each bin, shape ``[bins]``; all 0 where there are none.
        wrong: Share of the wrong answers.
        logarithmic: Whether the bins are equally wide on a logarithmic scale.
    """

    edges: FloatArray
    correct: FloatArray
    wrong: FloatArray
    logarithmic: bool


def roc_curve(uncertainty: ArrayLike, correct: ArrayLike) -> Curve | None:
    """Share of right answers that are flagged (x) and share of wrong ones that are (y), over all thresholds.

    Answers without a finite score are left out. Tied scores make one straight piece, so that the area under the curve
    is `functional.auroc`.

    Returns:
        The curve from (0, 0) to (1, 1), thinned out; ``None`` where all scored answers are right or all are wrong.

    >>> curve = roc_curve([0.1, 0.4, 0.4, 0.9], [1, 1, 0, 0])
    >>> curve.x.tolist(), curve.y.tolist()
    ([0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0])
    """
    scores, right = _scored(uncertainty, correct)
    if right.all() or not right.any():
        return None
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    flagged_right, flagged_wrong = (np.cumsum(rows[order])[last] for rows in (right, ~right))
    x = np.concatenate([[0.0], flagged_right / right.sum()])
    y = np.concatenate([[0.0], flagged_wrong / (~right).sum()])
    keep = _thinned(x, y)
    return Curve(x[keep], y[keep], *interval(y[keep], (~right).sum()))


def risk_coverage_curve(uncertainty: ArrayLike, correct: ArrayLike, start: float = 0.0) -> Curve | None:
    """Coverage (x) and the error rate among the answers that are given at it (y), thinned out.

    Args:
        uncertainty: Scores, higher = more uncertain.
        correct: 1 for a right answer, 0 for a wrong one.
        start: Coverages below are left out.

    Returns:
        The curve; ``None`` where no answer has a finite score.
    """
    risks = risk_coverage(uncertainty, correct)
    if not len(risks):
        return None
    given = np.arange(1, len(risks) + 1)
    coverage = given / len(risks)
    rows = np.flatnonzero(coverage >= start)
    keep = rows[_thinned(coverage[rows], risks[rows])]
    return Curve(coverage[keep], risks[keep], *interval(risks[keep], given[keep]))


def interval(share: ArrayLike, count: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Ends of the 95 % interval of shares of ``count`` answers each.

    Source:
        Wilson 1927, Journal of the American Statistical Association 22.

    >>> [end.round(3).tolist() for end in interval([0.0, 0.5], [10, 10])]
    [[0.0, 0.237], [0.278, 0.763]]
    """
    p, n = np.asarray(share, dtype=np.float64), np.asarray(count, dtype=np.float64)
    middle = p + _Z**2 / (2 * n)
    reach = _Z * np.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    low, high = ((middle + sign * reach) / (1 + _Z**2 / n) for sign in (-1, 1))
    return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)


def risk_at(uncertainty: ArrayLike, correct: ArrayLike, coverages: ArrayLike) -> FloatArray:
    """Error rate among the most certain answers at given coverages; ``nan`` where no answer has a finite score.

    >>> risk_at([0.1, 0.2, 0.3, 0.4], [1, 1, 0, 0], [0.5, 1.0]).tolist()
    [0.0, 0.5]
    """
    risks = risk_coverage(uncertainty, correct)
    wanted = np.asarray(coverages, dtype=np.float64)
    if not len(risks):
        return np.full(wanted.shape, np.nan)
    at = np.clip(np.rint(wanted * len(risks)).astype(int) - 1, 0, None)
    return np.asarray(risks[at], dtype=np.float64)


def histogram(uncertainty: ArrayLike, correct: ArrayLike) -> Histogram | None:
    """How the scores of correct and of wrong answers are spread.

    Returns:
        The histogram; ``None`` where no answer has a finite score.
    """
    scores, right = _scored(uncertainty, correct)
    if not len(scores):
        return None
    low, high = np.quantile(scores, [0.05, 0.95])
    logarithmic = bool(scores.min() > 0 and high > _WIDE * low)
    values = np.log10(scores) if logarithmic else scores
    start, end = np.quantile(values, [0.005, 0.995])
    if not end > start:
        start, end = values.min(), values.max()
    if not end > start:
        start, end = start - 0.5, end + 0.5
    edges = np.linspace(start, end, _BINS + 1)
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, _BINS - 1)
    shares = [np.bincount(bins[rows], minlength=_BINS) / max(1, rows.sum()) for rows in (right, ~right)]
    return Histogram(10**edges if logarithmic else edges, shares[0], shares[1], logarithmic)


def _scored(uncertainty: ArrayLike, correct: ArrayLike) -> tuple[FloatArray, NDArray[np.bool_]]:
    scores, right = np.asarray(uncertainty, dtype=np.float64), np.asarray(correct) == 1
    finite = np.isfinite(scores)
    return scores[finite], right[finite]


def _thinned(x: FloatArray, y: FloatArray) -> NDArray[np.int64]:
    """Which points to keep: some at about equal distances along the line, and both ends."""
    if len(x) <= _POINTS:
        return np.arange(len(x))
    way = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    keep = np.searchsorted(way, np.linspace(0.0, way[-1], _POINTS))
    return np.unique(np.concatenate([[0], np.minimum(keep, len(way) - 1), [len(way) - 1]]))
