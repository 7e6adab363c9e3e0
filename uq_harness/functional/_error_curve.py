"""From a score to the probability that the answer is wrong, and how far such probabilities can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.functional._arrays import BoolArray, FloatArray
from uq_harness.functional._tie_groups import checked_answers

BINS = 10
_FEWEST = 10  # answers in a bin, if there are enough for that in all bins
_LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class ErrorCurve:
    """Probability of error by score: straight lines between points, constant beyond them.

    Attributes:
        scores: Scores of the points, ascending.
        probabilities: Probabilities of error there, never falling.
    """

    scores: FloatArray
    probabilities: FloatArray

    def __call__(self, uncertainty: ArrayLike) -> FloatArray:
        """Probabilities of error; ``nan`` for ``nan``."""
        found: FloatArray = np.interp(np.asarray(uncertainty, dtype=np.float64), self.scores, self.probabilities)
        return found


def error_curve(uncertainty: ArrayLike, correct: ArrayLike) -> ErrorCurve:
    """Isotonic regression of error on score: the non-decreasing curve with the least squared error.

    Args:
        uncertainty: Scores, higher = more uncertain; rows that are not finite are left out.
        correct: 1 for a right answer, 0 for a wrong one.

    Source:
        Zadrozny and Elkan 2002, KDD; scikit-learn's ``IsotonicRegression``.

    >>> curve = error_curve([0.1, 0.2, 0.3, 0.4], [1, 1, 0, 0])
    >>> curve([0.0, 0.25, 9.0]).tolist()
    [0.0, 0.5, 1.0]
    """
    from sklearn.isotonic import IsotonicRegression

    scores, right = checked_answers(uncertainty, correct)
    finite = np.isfinite(scores)
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(scores[finite], ~right[finite])
    return ErrorCurve(
        np.asarray(fitted.X_thresholds_, dtype=np.float64), np.asarray(fitted.y_thresholds_, dtype=np.float64)
    )


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers with about the same predicted probability of error.

    Attributes:
        predicted: Mean predicted probability.
        observed: Share of wrong answers.
        interval: 95 % interval of the latter (Clopper and Pearson).
        n: Number of answers.
    """

    predicted: float
    observed: float
    interval: tuple[float, float]
    n: int


def reliability(predicted: ArrayLike, correct: ArrayLike, bins: int = BINS) -> list[ReliabilityBin]:
    """Predicted against observed error rates, in bins of about equally many answers; equal predictions share a bin.

    Equal predictions can leave a handful of answers between two bins: such a bin joins the next, until each has at
    least 10 answers, or as many as all bins could have.

    >>> [(b.predicted, b.observed, b.n) for b in reliability([0.1, 0.1, 0.9, 0.9], [1, 1, 0, 1], bins=2)]
    [(0.1, 0.0, 2), (0.9, 0.5, 2)]
    """
    probabilities, right = checked_answers(predicted, correct)
    if not len(probabilities):
        return []
    edges = np.unique(np.quantile(probabilities, np.arange(1, bins) / bins, method="inverted_cdf"))
    index = np.searchsorted(edges, probabilities)
    starts = _starts(np.bincount(index, minlength=len(edges) + 1).tolist(), min(_FEWEST, len(probabilities) // bins))
    index = np.searchsorted(starts, index, side="right")
    return [_bin(probabilities[index == i], ~right[index == i]) for i in np.unique(index)]


def _starts(counts: Sequence[int], fewest: int) -> list[int]:
    """The bins at which joined bins begin, from the second on.

    >>> _starts([12, 1, 15, 14, 3], 10)
    [1, 3]
    """
    starts, held = [0], 0
    for number, count in enumerate(counts):
        if held >= max(fewest, 1):
            starts.append(number)
            held = 0
        held += count
    if held < fewest and len(starts) > 1:
        starts.pop()
    return starts[1:]


def _bin(predicted: FloatArray, wrong: BoolArray) -> ReliabilityBin:
    from scipy.stats import beta

    n, errors = len(wrong), int(wrong.sum())
    tail = (1 - _LEVEL) / 2
    low = float(beta.ppf(tail, errors, n - errors + 1)) if errors else 0.0
    high = float(beta.isf(tail, errors + 1, n - errors)) if errors < n else 1.0
    return ReliabilityBin(float(predicted.mean()), errors / n, (low, high), n)


def calibration_error(bins: list[ReliabilityBin]) -> float:
    """Expected calibration error: mean distance of predicted from observed error rates, weighted by answers.

    Source:
        Naeini et al. 2015, AAAI.

    >>> calibration_error(reliability([0.1, 0.1, 0.9, 0.9], [1, 1, 0, 1], bins=2))
    0.25
    """
    total = sum(b.n for b in bins)
    return sum(b.n * abs(b.predicted - b.observed) for b in bins) / total if total else float("nan")
