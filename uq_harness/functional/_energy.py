"""Semantic Energy: logits of sampled tokens, gathered by meaning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.functional._arrays import as_floats, as_integers, check_lengths


def semantic_energy(token_logits: Sequence[ArrayLike], cluster_ids: ArrayLike) -> float:
    """Energy of the strongest meaning: ``-max_C (1/N) Σ_{i∈C} z̄_i``, ``z̄_i`` the mean logit of sample ``i``'s tokens.

    Args:
        token_logits: For each of ``N`` samples the logits of its tokens, before any temperature or cut.
        cluster_ids: Which cluster each sample belongs to, shape ``(samples,)``; any whole numbers.

    Returns:
        In the logits' unit; ``nan`` without samples or where a sample has no tokens. Those of different models are not
        comparable.

    Raises:
        UQHarnessError: Lengths differ, or a cluster id is not a whole number.

    Source:
        Ma et al. 2025, arXiv 2508.14496; there a confidence, summed over the cluster.

    >>> semantic_energy([[10.0, 12.0], [20.0], [30.0]], [0, 0, 1])
    -10.333333333333334
    """
    samples = [as_floats(f"token_logits[{index}]", tokens, ndim=1) for index, tokens in enumerate(token_logits)]
    clusters = as_integers("cluster_ids", cluster_ids, ndim=1)
    check_lengths(token_logits=samples, cluster_ids=clusters)
    if not samples or not all(map(len, samples)):
        return float("nan")
    means = np.array([tokens.mean() for tokens in samples])
    _, members = np.unique(clusters, return_inverse=True)
    return float(-np.bincount(members, weights=means).max() / len(samples))
