"""Scores of how far samples agree, given entailment probabilities: Self-Consistency and Deg."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.functional._arrays import as_unit_interval, check_square, mean_or_nan


def self_consistency(entailment: ArrayLike, threshold: float = 0.5) -> float:
    """Share of samples that do not say what the greedy answer says, ``1 - (1/N) Σ_i 1[e_i > threshold]``.

    Args:
        entailment: ``e_i``, probability that sample ``i`` and the greedy answer entail each other (mean of both
            directions), shape ``(samples,)``.
        threshold: A sample agrees if its probability is above this.

    Returns:
        0 (all agree) to 1; ``nan`` without samples, or where a probability is ``nan``.

    Raises:
        UQHarnessError: The argument is not one-dimensional, or leaves [0, 1].

    Source:
        After Wang et al. 2022, arXiv 2203.11171, with entailment in place of equal answers.

    >>> self_consistency([0.9, 0.8, 0.1, 0.6])
    0.25
    """
    probabilities = as_unit_interval("entailment", entailment, ndim=1)
    if np.isnan(probabilities).any():
        return float("nan")
    return 1.0 - mean_or_nan((probabilities > threshold).astype(np.float64))


def degree(similarity: ArrayLike) -> float:
    """Deg: how loosely the samples hang together as a graph, ``1 - mean(W)``.

    Args:
        similarity: ``W``, shape ``(samples, samples)``: mean of both directions' entailment probability, 1 on the
            diagonal.

    Returns:
        0 (all alike) to ``1 - 1/N``; 0 for a single sample, ``nan`` without samples.

    Raises:
        UQHarnessError: The matrix is not square, or leaves [0, 1].

    Source:
        Lin et al. 2023, arXiv 2305.19187 (trace of the degree matrix).

    >>> degree([[1.0, 0.5], [0.5, 1.0]])
    0.25
    """
    weights = as_unit_interval("similarity", similarity, ndim=2)
    check_square("similarity", weights)
    return 1.0 - mean_or_nan(weights)
