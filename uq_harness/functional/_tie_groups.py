"""Groups of tied scores: all that the quality of a ranking depends on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import BoolArray, FloatArray, IntArray, as_floats, check_lengths


class TieGroups(NamedTuple):
    """Number of rows and of wrong answers at each distinct score, from the most certain to the most uncertain.

    Arrays of shape ``(..., groups)``: leading dimensions are resamples. A group may be empty in a resample.
    """

    total: IntArray
    wrong: IntArray

    @property
    def right(self) -> IntArray:
        """Number of right answers at each score."""
        return self.total - self.wrong


def tie_groups(uncertainty: ArrayLike, correct: ArrayLike) -> TieGroups:
    """Counts the rows of each distinct finite score; rows without a finite score are left out."""
    scores, right = checked_rows(uncertainty, correct)
    distinct, group = np.unique(scores, return_inverse=True)
    total = np.bincount(group, minlength=len(distinct))
    wrong = total - np.bincount(group[right], minlength=len(distinct))
    return TieGroups(total.astype(np.int64), wrong.astype(np.int64))


def checked_rows(uncertainty: ArrayLike, correct: ArrayLike) -> tuple[FloatArray, BoolArray]:
    """Finite scores, and whether their answers were right."""
    scores, right = checked_answers(uncertainty, correct)
    finite = np.isfinite(scores)
    return scores[finite], right[finite]


def checked_answers(uncertainty: ArrayLike, correct: ArrayLike) -> tuple[FloatArray, BoolArray]:
    """All scores, finite or not, and whether their answers were right."""
    scores = as_floats("uncertainty", uncertainty, ndim=1)
    right = as_verdicts("correct", correct)
    check_lengths(uncertainty=scores, correct=right)
    return scores, right


def as_verdicts(name: str, correct: ArrayLike) -> BoolArray:
    """Whether each answer was right; anything but 0 and 1 is an error."""
    labels = as_floats(name, correct, ndim=1)
    strange = labels[(labels != 0) & (labels != 1)]
    if strange.size:
        raise UQHarnessError(f"{name} holds {strange[0]:g}, but must be 1 for a right answer and 0 for a wrong one")
    right: BoolArray = labels == 1
    return right


def has_both_classes(groups: TieGroups) -> bool:
    """Whether there are right and wrong answers; without both, no ranking is better than another."""
    return bool(groups.wrong.any() and groups.right.any())


def harmonic_numbers(n: int) -> FloatArray:
    """``H_0 .. H_n``, ``H_k = 1 + 1/2 + … + 1/k``."""
    return np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, n + 1))])


def mean_risk(groups: TieGroups, harmonic: FloatArray) -> FloatArray:
    """AURC of each resample: mean over k of the expected error rate among the k most certain rows.

    In a group of ``g`` tied rows with ``e`` errors that follows ``s`` rows with ``E`` errors, a random order has
    ``E + e (k - s) / g`` errors among the first ``k``. Divided by ``k`` and summed over the group, that is
    ``e + (E - e s / g) (H_{s+g} - H_s)``.
    """
    seen = np.cumsum(groups.total, axis=-1)
    before = seen - groups.total
    errors_before = np.cumsum(groups.wrong, axis=-1) - groups.wrong
    offset = errors_before - groups.wrong * before / np.maximum(groups.total, 1)  # an empty group adds 0 either way
    steps = np.diff(harmonic[seen], axis=-1, prepend=0.0)
    risks = groups.wrong.sum(axis=-1) + (offset * steps).sum(axis=-1)
    return np.asarray(risks / seen[..., -1], dtype=np.float64)


def rejection_ratio(groups: TieGroups, risk: FloatArray, harmonic: FloatArray) -> FloatArray:
    """PRR of each resample, given its `mean_risk`; a resample of one class divides 0 by 0."""
    n_right, n_wrong = groups.right.sum(axis=-1), groups.wrong.sum(axis=-1)
    zero = np.zeros_like(n_wrong)
    oracle_order = TieGroups(total=np.stack([n_right, n_wrong], axis=-1), wrong=np.stack([zero, n_wrong], axis=-1))
    random = n_wrong / (n_right + n_wrong)
    return np.asarray((random - risk) / (random - mean_risk(oracle_order, harmonic)), dtype=np.float64)


def area_under_roc(groups: TieGroups) -> FloatArray:
    """AUROC of each resample; a resample of one class divides 0 by 0."""
    right = groups.right
    won_twice = (groups.wrong * (2 * np.cumsum(right, axis=-1) - right)).sum(axis=-1)  # whole numbers are quicker
    return np.asarray(won_twice / 2 / (right.sum(axis=-1) * groups.wrong.sum(axis=-1)), dtype=np.float64)
