"""What threshold and error probabilities are worth on answers that they were not made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uq_harness.functional import ReliabilityBin, calibration_error, control_risk, error_curve, reliability

SPLITS = 100


@dataclass(frozen=True)
class HeldOut:
    """Thresholds and curves from one random half of the answers, tried on the other.

    Attributes:
        splits: Number of random splits.
        reachable: Share of them in which a threshold was found.
        risk: Error rate among the held-out answers that were given, over all splits; ``nan`` where none was.
        coverage: Mean share of held-out answers that were given.
        within_target: Share of splits whose held-out error rate is at most the target, or that answered nothing.
        calibration_error: Expected calibration error of held-out probabilities.
        bins: Their reliability.
    """

    splits: int
    reachable: float
    risk: float
    coverage: float
    within_target: float
    calibration_error: float
    bins: tuple[ReliabilityBin, ...]


def check_on_halves(
    uncertainty: ArrayLike, correct: ArrayLike, target: float, delta: float, splits: int = SPLITS, seed: int = 0
) -> HeldOut:
    """Splits the answers at random, again and again.

    A threshold is made from half as many answers as the final one, so it is more cautious; and the error rate of a
    half is itself uncertain, so that some splits are above the target though the true rate does not.

    Args:
        uncertainty: Scores, higher = more uncertain.
        correct: 1 for a right answer, 0 for a wrong one.
        target: As in `control_risk`.
        delta: As in `control_risk`.
        splits: Number of random splits.
        seed: Seed of NumPy's default generator.
    """
    scores, right = np.asarray(uncertainty, dtype=np.float64), np.asarray(correct) == 1
    random = np.random.default_rng(seed)
    halves = [_halves(len(scores), random) for _ in range(splits)]
    outcomes = np.array([_outcome(scores, right, half, target, delta) for half in halves])
    reachable, held_out, given, wrong = outcomes.T
    predicted = np.full(len(scores), np.nan)
    first, second = halves[0]
    for made_from, tried_on in ((first, second), (second, first)):
        if np.isfinite(scores[made_from]).any():
            predicted[tried_on] = error_curve(scores[made_from], right[made_from])(scores[tried_on])
    known = np.isfinite(scores) & ~np.isnan(predicted)
    bins = reliability(predicted[known], right[known])
    return HeldOut(
        splits=splits,
        reachable=float(reachable.mean()),
        risk=float(wrong.sum() / given.sum()) if given.any() else float("nan"),
        coverage=float(given.sum() / held_out.sum()),
        within_target=float((wrong <= target * given).mean()),
        calibration_error=calibration_error(bins),
        bins=tuple(bins),
    )


Rows = NDArray[np.int64]


def _halves(n: int, random: np.random.Generator) -> tuple[Rows, Rows]:
    order = random.permutation(n)
    return order[: n // 2], order[n // 2 :]


def _outcome(
    scores: NDArray[np.float64], right: NDArray[np.bool_], halves: tuple[Rows, Rows], target: float, delta: float
) -> tuple[bool, int, int, int]:
    """Whether a threshold was found, and of how many held-out answers how many were given and wrong."""
    made_from, tried_on = halves
    found = control_risk(scores[made_from], right[made_from], target, delta)
    given = np.isfinite(scores[tried_on]) & (scores[tried_on] < found.threshold)
    return found.reachable, len(tried_on), int(given.sum()), int((given & ~right[tried_on]).sum())
