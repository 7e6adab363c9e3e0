"""CoCoA: an answer's uncertainty times its dissimilarity from samples."""

from __future__ import annotations

import math

from numpy.typing import ArrayLike

from uq_harness.functional._arrays import as_unit_interval


def cocoa(uncertainty: float, similarity: ArrayLike) -> float:
    """CoCoA: ``uncertainty · d`` with ``d = mean_i (1 - g(y, s_i))``, how little the samples resemble the answer.

    Args:
        uncertainty: Any score of the greedy answer ``y`` in which 0 means sure; 1 gives ``d`` alone.
        similarity: ``g(y, s_i)``, similarity of the answer and each of ``N`` samples, shape ``(samples,)``, in [0, 1].

    Returns:
        In the unit of the uncertainty. 0 where all samples equal the answer, also if the uncertainty is infinite;
        ``nan`` without samples, or where an argument is ``nan``.

    Raises:
        UQHarnessError: The similarities are not one-dimensional, or one is outside [0, 1].

    Source:
        Vashurin et al. 2025, arXiv 2502.04964.

    >>> cocoa(2.0, [1.0, 0.5, 0.75])
    0.5
    """
    alike = as_unit_interval("similarity", similarity, ndim=1)
    if not alike.size or math.isnan(uncertainty):
        return float("nan")
    dissimilarity = float((1.0 - alike).mean())
    return 0.0 if dissimilarity == 0 else float(uncertainty) * dissimilarity
