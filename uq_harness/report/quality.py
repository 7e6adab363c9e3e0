"""How good every method of a run is, with errors, and which methods are as good as the best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from uq_harness import functional
from uq_harness.evaluation.metrics import RESAMPLES, too_few
from uq_harness.functional import MEASURES, FloatArray

Column = tuple[FloatArray, NDArray[np.int64]]

# Bootstrapping more answers takes a second a method and longer. The jackknife, which takes milliseconds, is then as
# near to the error as 1,000 resamples are.
_LARGE = 5000


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error; either is ``nan`` where it is undefined.

    Attributes:
        value: The number.
        stderr: Its standard error.
        few: Whether it comes from so few right or wrong answers that neither means much.
    """

    value: float
    stderr: float
    few: bool = field(default=False, repr=False)


UNDEFINED = Estimate(math.nan, math.nan)


@dataclass(frozen=True)
class Ranking:
    """Methods against the best of them, by AUROC.

    Attributes:
        best: The method with the highest AUROC; ``None`` where no AUROC is defined.
        p_values: For every other method Holm's adjusted p-value of being no different from the best, over the questions
            that both score; ``nan`` where there is no test.
        not_worse: The other methods that are not significantly worse than the best.
    """

    best: str | None
    p_values: Mapping[str, float] = field(default_factory=dict)
    not_worse: frozenset[str] = frozenset()


def estimates(
    uncertainty: FloatArray, correct: NDArray[np.int64], reported: Mapping[str, Estimate] | None = None, seed: int = 0
) -> dict[str, Estimate]:
    """AUROC, AURC and PRR of one method in one run, each with its standard error.

    Args:
        uncertainty: The method's scores, ``nan`` where there is none.
        correct: 1 for a right answer, 0 for a wrong one.
        reported: What the run's own results say, by measure. Where its value is that of these scores, so is its error,
            and the bootstrap that it took need not be done again.
        seed: Seed of the bootstrap, which stands for up to 5,000 answers; for more it is the jackknife.
    """
    values = {name: float(getattr(functional, name)(uncertainty, correct)) for name in MEASURES}
    errors = {"auroc": float(functional.auroc_stderr(uncertainty, correct))}
    for name in ("aurc", "prr"):
        known = (reported or {}).get(name, UNDEFINED)
        if math.isnan(values[name]):
            errors[name] = math.nan
        elif math.isclose(known.value, values[name], rel_tol=1e-9) and math.isfinite(known.stderr):
            errors[name] = known.stderr
    if len(errors) < len(values):
        if len(correct) > _LARGE:
            aurc, prr = functional.aurc_stderr(uncertainty, correct), functional.prr_stderr(uncertainty, correct)
        else:
            _, aurc, prr = functional.bootstrap_stderr(uncertainty, correct, n_resamples=RESAMPLES, seed=seed)
        errors = {"aurc": aurc, "prr": prr, **errors}
    scored = correct[~np.isnan(uncertainty)]
    few = bool(too_few(int((scored == 1).sum()), int((scored == 0).sum())))
    return {name: Estimate(values[name], errors[name], few) for name in MEASURES}


def average(columns: Sequence[Estimate]) -> Estimate:
    """Plain mean over independent estimates; undefined if one of them is.

    >>> average([Estimate(0.5, 0.03), Estimate(0.7, 0.04)])
    Estimate(value=0.6, stderr=0.025)
    """
    if not columns:
        return UNDEFINED
    error = math.sqrt(math.fsum(column.stderr**2 for column in columns)) / len(columns)
    few = any(column.few for column in columns)
    return Estimate(math.fsum(column.value for column in columns) / len(columns), error, few)


def rank(scores: Sequence[Mapping[str, FloatArray]], correct: Sequence[NDArray[np.int64]], alpha: float) -> Ranking:
    """Finds the method of the highest mean AUROC and tests all others against it.

    In each run the two methods are compared by DeLong's paired test over the questions that both score; the mean of the
    runs' differences is normal with the variance of a mean of independent numbers. Holm's correction covers all
    comparisons with the best.

    Args:
        scores: Scores of every method for each run; one run for a column, all of them for the average. Methods that are
            missing or undefined in a run are left out.
        correct: Correctness in each run.
        alpha: Probability of any false "worse" if all methods were equal to the best.
    """
    names = [name for name in scores[0] if all(name in run for run in scores)] if scores else []
    means = {
        name: float(np.mean([functional.auroc(run[name], labels) for run, labels in zip(scores, correct, strict=True)]))
        for name in names
    }
    defined = [name for name in names if math.isfinite(means[name])]
    if not defined:
        return Ranking(None)
    best = max(defined, key=lambda name: means[name])
    others = [name for name in defined if name != best]
    tests = [_difference(scores, correct, best, name) for name in others]
    adjusted = functional.holm([p_value for _, p_value in tests])
    p_values = dict(zip(others, map(float, adjusted), strict=True))
    behind = {name: difference for name, (difference, _) in zip(others, tests, strict=True)}
    not_worse = frozenset(name for name in others if p_values[name] > alpha or behind[name] <= 0)
    return Ranking(best, p_values, not_worse)


def _difference(
    scores: Sequence[Mapping[str, FloatArray]], correct: Sequence[NDArray[np.int64]], best: str, other: str
) -> tuple[float, float]:
    """Mean difference of two methods' AUROCs over the runs, and its two-sided p-value."""
    from scipy.stats import norm

    found = [
        functional.paired_auroc(run[best], run[other], labels) for run, labels in zip(scores, correct, strict=True)
    ]
    if len(found) == 1:
        return found[0].difference, found[0].p_value
    difference = math.fsum(one.difference for one in found) / len(found)
    error = math.sqrt(math.fsum(one.stderr**2 for one in found)) / len(found)
    if error == 0:
        return difference, float(difference == 0)
    return difference, float(2 * norm.sf(abs(difference) / error))
