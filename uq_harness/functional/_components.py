"""What each answer contributes to the error of a metric: the components that standard errors are made of."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.functional._arrays import FloatArray
from uq_harness.functional._tie_groups import (
    TieGroups,
    as_verdicts,
    checked_answers,
    harmonic_numbers,
    mean_risk,
    tie_groups,
)


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
    return _of_their_kind(auroc_shares(uncertainty, correct), correct)


def auroc_shares(uncertainty: ArrayLike, correct: ArrayLike) -> FloatArray:
    """What `auroc_components` would say of each answer if it were wrong, and if right; shape ``(2, answers)``."""
    scores, right = checked_answers(uncertainty, correct)
    scored = np.flatnonzero(np.isfinite(scores))
    right = right[scored]
    n_right = int(right.sum())
    n_wrong = len(right) - n_right
    if min(n_right, n_wrong) < 2:
        return np.full((2, len(scores)), np.nan)
    distinct, group = np.unique(scores[scored], return_inverse=True)
    rights, wrongs = (np.bincount(group[rows], minlength=len(distinct)) for rows in (right, ~right))
    beaten = (np.cumsum(rights) - rights / 2) / n_right
    beaten_by = (n_wrong - np.cumsum(wrongs) + wrongs / 2) / n_wrong
    area = float(wrongs @ beaten) / n_wrong
    shares = np.zeros((2, len(scores)))
    for share, placement, size in zip(shares, (beaten, beaten_by), (n_wrong, n_right), strict=True):
        share[scored] = (placement[group] - area) / np.sqrt(size * (size - 1.0))
    return shares


def aurc_components(uncertainty: ArrayLike, correct: ArrayLike) -> FloatArray:
    """Share of each answer in the deviation of the AURC from its true value, by the infinitesimal jackknife.

    An answer at rank ``k`` with error ``e`` moves the AURC ``A`` by its own place on the curve and by all risks
    ``R_j`` from there on: ``R_k - A + sum over j >= k of (e - R_j) / j``, divided by the number of answers. Tied
    answers share the mean over their ranks.

    Returns:
        As `auroc_components`; all ``nan`` where all scored answers are right, or all wrong.
    """
    return _of_their_kind(aurc_shares(uncertainty, correct), correct)


def aurc_shares(uncertainty: ArrayLike, correct: ArrayLike) -> FloatArray:
    """What `aurc_components` would say of each answer if it were wrong, and if right; shape ``(2, answers)``."""
    found = _risk_shares(uncertainty, correct)
    return found if found is not None else np.full((2, *np.shape(uncertainty)), np.nan)


def prr_components(uncertainty: ArrayLike, correct: ArrayLike) -> FloatArray:
    """The same of the PRR, which is a function of the AURC and of the error rate ``r``.

    The oracle's AURC is ``r + (1 - r) ln(1 - r)`` in the limit, with the derivative ``-ln(1 - r)``.

    Returns:
        As `auroc_components`: without its only right or wrong answer there is no PRR, and so no jackknife of it.
    """
    return _of_their_kind(prr_shares(uncertainty, correct), correct)


def prr_shares(uncertainty: ArrayLike, correct: ArrayLike) -> FloatArray:
    """What `prr_components` would say of each answer if it were wrong, and if right; shape ``(2, answers)``."""
    risk = _risk_shares(uncertainty, correct)
    if risk is None:
        return np.full((2, *np.shape(uncertainty)), np.nan)
    scores, _ = checked_answers(uncertainty, correct)
    groups = tie_groups(uncertainty, correct)
    harmonic = harmonic_numbers(int(groups.total.sum()))
    wrong, total = int(groups.wrong.sum()), int(groups.total.sum())
    if min(wrong, total - wrong) < 2:
        return np.full((2, len(scores)), np.nan)
    rate = wrong / total
    oracle = TieGroups(total=np.array([total - wrong, wrong]), wrong=np.array([0, wrong]))
    gain, most = rate - mean_risk(groups, harmonic), rate - mean_risk(oracle, harmonic)
    own = np.where(np.isfinite(scores), np.array([[1 - rate], [-rate]]), 0.0) / np.sqrt(total * (total - 1.0))
    return np.asarray(((own - risk) * most - gain * own * (1 + np.log1p(-rate))) / most**2, dtype=np.float64)


def _of_their_kind(shares: FloatArray, correct: ArrayLike) -> FloatArray:
    wrong, right = shares
    return np.asarray(np.where(as_verdicts("correct", correct), right, wrong), dtype=np.float64)


def _risk_shares(uncertainty: ArrayLike, correct: ArrayLike) -> FloatArray | None:
    scores, right = checked_answers(uncertainty, correct)
    scored = np.flatnonzero(np.isfinite(scores))
    wrong = ~right[scored]
    n = len(scored)
    if wrong.all() or not wrong.any():
        return None
    _, group, sizes = np.unique(scores[scored], return_inverse=True, return_counts=True)
    errors = np.bincount(group[wrong], minlength=len(sizes))
    ranks = np.arange(1, n + 1)
    risks = np.cumsum(np.repeat(errors / sizes, sizes)) / ranks
    from_here = np.cumsum((1 / ranks)[::-1])[::-1]
    risks_from_here = np.cumsum((risks / ranks)[::-1])[::-1]
    starts = np.cumsum(sizes) - sizes
    weight, base = (np.add.reduceat(x, starts) / sizes for x in (from_here, risks - risks.mean() - risks_from_here))
    shares = np.zeros((2, len(scores)))
    shares[:, scored] = np.array([base + weight, base])[:, group] / np.sqrt(n * (n - 1.0))
    return shares


def spread(components: FloatArray) -> float:
    """Standard error that the components make: the root of their sum of squares, exact whatever their order."""
    return math.sqrt(math.fsum(components**2)) if len(components) else float("nan")
