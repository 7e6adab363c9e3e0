"""Semantic Density: how much of the likely answers' weight is near the greedy answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.functional._arrays import as_logprobs, as_unit_interval, check_lengths


def semantic_density(texts: Sequence[str], mean_logprobs: ArrayLike, distances: ArrayLike) -> float:
    """One minus the semantic density of the greedy answer, ``1 - Σ_i (1 - d_i) w_i / Σ_i w_i``.

    The sums run over distinct texts: beams that decode to the same text are one answer, and their weights, each a whole
    probability, must not add up. The first of them counts.

    Args:
        texts: The sampled answers.
        mean_logprobs: ``log w_i``, each answer's mean token log-probability under logits divided by 0.1, shape
            ``(samples,)``.
        distances: ``d_i``, shape ``(samples,)``: mean of both directions' ``P(contradict) + P(neutral)/2`` between the
            greedy answer and the sample.

    Returns:
        0 to 1; ``nan`` without samples, or where no sample has any probability.

    Raises:
        UQHarnessError: Lengths differ, a log-probability is above 0, or a distance leaves [0, 1].

    Source:
        Qiu and Miikkulainen 2024, arXiv 2405.13845.

    >>> round(semantic_density(["Paris", "Lyon", "Paris"], [-1.0, -1.0, -1.0], [0.1, 0.9, 0.1]), 6)
    0.5
    """
    log_weights = as_logprobs("mean_logprobs", mean_logprobs)
    distance = as_unit_interval("distances", distances, ndim=1)
    check_lengths(texts=texts, mean_logprobs=log_weights, distances=distance)
    first = [position for position, text in enumerate(texts) if text not in texts[:position]]
    log_weights, distance = log_weights[first], distance[first]
    if not log_weights.size or not np.max(log_weights) > -np.inf:
        return float("nan")
    weights = np.exp(log_weights - log_weights.max())  # the largest is 1: the sum cannot underflow
    return float((distance * weights).sum() / weights.sum())
