"""Standard errors of AUROC, AURC and PRR from one bootstrap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import BoolArray, FloatArray
from uq_harness.functional._tie_groups import (
    TieGroups,
    area_under_roc,
    checked_rows,
    harmonic_numbers,
    mean_risk,
    rejection_ratio,
)

# Rows drawn at once: few enough for the arrays to stay in the processor's cache, which is also what bounds memory.
_ROWS_AT_ONCE = 1 << 17


class BootstrapErrors(NamedTuple):
    """Standard errors of three metrics over the same resamples; ``nan`` where there is none."""

    auroc: float
    aurc: float
    prr: float


def bootstrap_stderr(
    uncertainty: ArrayLike, correct: ArrayLike, n_resamples: int = 1000, seed: int = 0
) -> BootstrapErrors:
    """Standard errors of `auroc`, `aurc` and `prr`: their standard deviation over resampled answers.

    Resamples that hold one class only have no value and are left out. The rows' order does not matter: a seed stands
    for the same resamples of the sorted rows.

    Args:
        uncertainty: Scores, as in `auroc`.
        correct: 1 for a right answer, 0 for a wrong one.
        n_resamples: How many times as many answers are drawn with replacement.
        seed: Seed of NumPy's default generator.

    Returns:
        The three standard errors, 0 or more; ``nan`` where all scored answers are right, all are wrong, there are none,
        or fewer than two resamples have a value; those of AUROC and PRR also where there is a single right answer or a
        single wrong one, whose place among the others no resample changes.

    Raises:
        UQHarnessError: Shapes do not match, ``correct`` holds anything but 0 and 1, or ``n_resamples`` is below 2.

    Source:
        Efron 1979, Annals of Statistics 7.

    >>> errors = bootstrap_stderr([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [1, 1, 0, 1, 0, 0])
    >>> 0.1 < errors.aurc < 0.2
    True
    """
    if n_resamples < 2:
        raise UQHarnessError(f"n_resamples is {n_resamples}, but a standard deviation needs at least 2")
    scores, right = checked_rows(uncertainty, correct)
    if right.all() or not right.any():
        return BootstrapErrors(np.nan, np.nan, np.nan)
    harmonic = harmonic_numbers(len(scores))
    values = [_values(groups, harmonic) for groups in _resamples(scores, ~right, n_resamples, seed)]
    auroc, aurc, prr = map(_standard_deviation, np.concatenate(values, axis=1))
    if min(np.count_nonzero(right), np.count_nonzero(~right)) < 2:
        auroc = prr = float("nan")
    return BootstrapErrors(auroc, aurc, prr)


def _resamples(scores: FloatArray, wrong: BoolArray, n_resamples: int, seed: int) -> Iterator[TieGroups]:
    """Counts of many resamples at a time. Rows are sorted once; a resample is how often each of them was drawn."""
    n = len(scores)
    order = np.lexsort((wrong, scores))
    scores, wrong = scores[order], wrong[order]
    starts = np.flatnonzero(np.concatenate([[True], scores[1:] != scores[:-1]]))
    random = np.random.default_rng(seed)
    at_once = max(1, _ROWS_AT_ONCE // n)
    for done in range(0, n_resamples, at_once):
        size = min(at_once, n_resamples - done)
        drawn = random.integers(n, size=(size, n)) + n * np.arange(size)[:, np.newaxis]
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        both = (counts, counts * wrong)
        if len(starts) < n:
            both = (np.add.reduceat(both[0], starts, axis=1), np.add.reduceat(both[1], starts, axis=1))
        yield TieGroups(*both)


def _values(groups: TieGroups, harmonic: FloatArray) -> FloatArray:
    """AUROC, AURC and PRR of each resample, shape ``(3, resamples)``."""
    risk = mean_risk(groups, harmonic)
    one_class = ~(groups.wrong.any(axis=-1) & groups.right.any(axis=-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.stack([area_under_roc(groups), risk, rejection_ratio(groups, risk, harmonic)])
    return np.where(one_class, np.nan, values)


def _standard_deviation(values: FloatArray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.std(ddof=1)) if len(defined) > 1 else float("nan")
