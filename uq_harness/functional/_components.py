"""What each answer contributes to the AUROC's error: the structural components that DeLong's method is made of."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.functional._arrays import FloatArray
from uq_harness.functional._tie_groups import checked_answers


def auroc_components(uncertainty: ArrayLike, correct: ArrayLike) -> FloatArray:
    """Share of each answer in the deviation of the AUROC from its true value.

    The placement of a wrong answer is the share of right ones that it beats, that of a right answer the share of wrong
    ones that beat it; ties count half, and both average to the AUROC ``A``. The component of one of a class's ``m``
    answers is ``(placement - A) / sqrt(m (m - 1))``. Components sum to 0 in either class, their sum of squares is
    DeLong's variance, and the sum of products of two scores' components over the same questions is their covariance.

    Returns:
        Shape ``(answers,)``, 0 for an answer without a finite score; all ``nan`` with fewer than two right or two wrong
        answers among the scored ones.
    """
    scores, right = checked_answers(uncertainty, correct)
    scored = np.flatnonzero(np.isfinite(scores))
    right = right[scored]
    n_right = int(right.sum())
    n_wrong = len(right) - n_right
    if min(n_right, n_wrong) < 2:
        return np.full(len(scores), np.nan)
    distinct, group = np.unique(scores[scored], return_inverse=True)
    rights, wrongs = (np.bincount(group[rows], minlength=len(distinct)) for rows in (right, ~right))
    beaten = (np.cumsum(rights) - rights / 2) / n_right
    beaten_by = (n_wrong - np.cumsum(wrongs) + wrongs / 2) / n_wrong
    area = float(wrongs @ beaten) / n_wrong
    size = np.where(right, n_right, n_wrong)
    components = np.zeros(len(scores))
    components[scored] = (np.where(right, beaten_by[group], beaten[group]) - area) / np.sqrt(size * (size - 1.0))
    return components


def spread(components: FloatArray) -> float:
    """Standard error that the components make: the root of their sum of squares, exact whatever their order."""
    return math.sqrt(math.fsum(components**2)) if len(components) else float("nan")
