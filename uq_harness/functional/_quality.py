"""How well a score tells wrong answers from right ones: risk-coverage curve, AUROC, AURC and PRR."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.functional._arrays import FloatArray
from uq_harness.functional._components import aurc_components, auroc_components, prr_components, spread
from uq_harness.functional._tie_groups import (
    area_under_roc,
    harmonic_numbers,
    has_both_classes,
    mean_risk,
    rejection_ratio,
    tie_groups,
)

# The measures of a score's quality by the names of their functions, and whether higher is better.
MEASURES = {"auroc": True, "aurc": False, "prr": True}


def auroc(uncertainty: ArrayLike, correct: ArrayLike) -> float:
    """Probability that a wrong answer is given more uncertainty than a right one; ties count half.

    Args:
        uncertainty: Scores, shape ``(answers,)``, higher = more uncertain. Rows that are not finite are left out.
        correct: 1 for a right answer, 0 for a wrong one, same shape.

    Returns:
        0 to 1, higher is better, 0.5 for a score that tells nothing; ``nan`` where all scored answers are right, all
        are wrong, or there are none.

    Raises:
        UQHarnessError: Shapes do not match, or ``correct`` holds anything but 0 and 1.

    Source:
        Mann and Whitney 1947, as a metric of uncertainty: Kuhn et al. 2023, arXiv 2302.09664.

    >>> auroc(uncertainty=[0.1, 0.4, 0.4, 0.9], correct=[1, 1, 0, 0])
    0.875
    """
    groups = tie_groups(uncertainty, correct)
    return float(area_under_roc(groups)) if has_both_classes(groups) else float("nan")


def auroc_stderr(uncertainty: ArrayLike, correct: ArrayLike) -> float:
    """Standard error of `auroc` by DeLong's method.

    Args:
        uncertainty: Scores, as in `auroc`.
        correct: 1 for a right answer, 0 for a wrong one.

    Returns:
        0 or more (0 where the score separates right and wrong without fault); ``nan`` with fewer than two right or two
        wrong answers: the variance is undefined.

    Raises:
        UQHarnessError: Shapes do not match, or ``correct`` holds anything but 0 and 1.

    Source:
        DeLong et al. 1988, Biometrics 44; in O(n log n), as Sun and Xu 2014 showed to be possible.

    >>> round(auroc_stderr(uncertainty=[0.1, 0.4, 0.4, 0.9], correct=[1, 1, 0, 0]), 6)
    0.176777
    """
    return spread(auroc_components(uncertainty, correct))


def risk_coverage(uncertainty: ArrayLike, correct: ArrayLike) -> FloatArray:
    """Error rate among the k most certain answers, for every k; ties count their expectation over random orders.

    Args:
        uncertainty: Scores, as in `auroc`; unlike there, one class is enough.
        correct: 1 for a right answer, 0 for a wrong one.

    Returns:
        Shape ``(answers with a finite score,)``: entry ``k - 1`` is the risk at coverage ``k / n``. Its mean is `aurc`.

    Raises:
        UQHarnessError: Shapes do not match, or ``correct`` holds anything but 0 and 1.

    Source:
        El-Yaniv and Wiener 2010, JMLR 11; Geifman et al. 2019, arXiv 1805.08206.

    >>> risk_coverage(uncertainty=[0.1, 0.4, 0.4, 0.9], correct=[1, 1, 0, 0]).round(3).tolist()
    [0.0, 0.25, 0.333, 0.5]
    """
    groups = tie_groups(uncertainty, correct)
    expected_errors = np.cumsum(np.repeat(groups.wrong / groups.total, groups.total))
    return np.asarray(expected_errors / np.arange(1, len(expected_errors) + 1), dtype=np.float64)


def aurc(uncertainty: ArrayLike, correct: ArrayLike) -> float:
    """Area under the risk-coverage curve: mean over k of the error rate among the k most certain answers.

    Ties contribute their expected value over random orders, so the rows' order never matters.

    Args:
        uncertainty: Scores, as in `auroc`.
        correct: 1 for a right answer, 0 for a wrong one.

    Returns:
        0 to 1, lower is better, the error rate for a score that tells nothing; ``nan`` where all scored answers are
        right, all are wrong, or there are none.

    Raises:
        UQHarnessError: Shapes do not match, or ``correct`` holds anything but 0 and 1.

    Source:
        Geifman et al. 2019, arXiv 1805.08206.

    >>> round(aurc(uncertainty=[0.1, 0.4, 0.4, 0.9], correct=[1, 1, 0, 0]), 6)
    0.270833
    """
    groups = tie_groups(uncertainty, correct)
    if not has_both_classes(groups):
        return float("nan")
    return float(mean_risk(groups, harmonic_numbers(int(groups.total.sum()))))


def aurc_stderr(uncertainty: ArrayLike, correct: ArrayLike) -> float:
    """Standard error of `aurc` by the infinitesimal jackknife.

    For many answers it is that of `bootstrap_stderr`, without random numbers and in O(n log n).

    Args:
        uncertainty: Scores, as in `auroc`.
        correct: 1 for a right answer, 0 for a wrong one.

    Returns:
        0 or more; ``nan`` where all scored answers are right, all are wrong, or there are none.

    Raises:
        UQHarnessError: Shapes do not match, or ``correct`` holds anything but 0 and 1.

    Source:
        Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6.

    >>> round(aurc_stderr([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [1, 1, 0, 1, 0, 0]), 3)
    0.221
    """
    return spread(aurc_components(uncertainty, correct))


def prr_stderr(uncertainty: ArrayLike, correct: ArrayLike) -> float:
    """Standard error of `prr` by the infinitesimal jackknife, as `aurc_stderr`.

    ``nan`` with fewer than two right or two wrong answers among the scored ones.

    >>> round(prr_stderr([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [1, 1, 0, 1, 0, 0]), 3)
    0.277
    """
    return spread(prr_components(uncertainty, correct))


def prr(uncertainty: ArrayLike, correct: ArrayLike) -> float:
    """Prediction rejection ratio: how far the score is from a random order (0) to the oracle's (1).

    ``(AURC of random order - AURC) / (AURC of random order - AURC of the oracle)``; the oracle puts every right answer
    before every wrong one.

    Args:
        uncertainty: Scores, as in `auroc`.
        correct: 1 for a right answer, 0 for a wrong one.

    Returns:
        At most 1, higher is better, negative for a score worse than chance; ``nan`` where all scored answers are right,
        all are wrong, or there are none.

    Raises:
        UQHarnessError: Shapes do not match, or ``correct`` holds anything but 0 and 1.

    Source:
        Malinin and Gales 2021, arXiv 2002.07650, over the risk-coverage curve.

    >>> prr(uncertainty=[0.1, 0.4, 0.6, 0.9], correct=[1, 1, 0, 0])
    1.0
    >>> prr(uncertainty=[0.3, 0.3, 0.3, 0.3], correct=[1, 1, 0, 0])
    0.0
    """
    groups = tie_groups(uncertainty, correct)
    if not has_both_classes(groups):
        return float("nan")
    harmonic = harmonic_numbers(int(groups.total.sum()))
    return float(rejection_ratio(groups, mean_risk(groups, harmonic), harmonic))
