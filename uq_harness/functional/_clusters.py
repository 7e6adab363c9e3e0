"""Clusters of samples that mean the same, and scores of them: Semantic Entropy, discrete or not, label probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import (
    FloatArray,
    IntArray,
    as_integers,
    as_logprob_lists,
    check_lengths,
    check_square,
)
from uq_harness.functional._likelihood import mean_logprobs

CONTRADICTION, NEUTRAL, ENTAILMENT = 0, 1, 2


def cluster_by_entailment(labels: ArrayLike, strict: bool = False) -> IntArray:
    """Groups samples that entail each other.

    In order, each sample that no cluster has yet opens one and takes every later equivalent sample, also one that an
    earlier cluster had taken. So the result depends on the samples' order, as in the authors' code.

    Args:
        labels: Shape ``(samples, samples)``: ``labels[i][j]`` is 0 if sample ``i`` contradicts ``j``, 1 if neutral, 2
            if it entails ``j``. The diagonal is not read.
        strict: Equivalent means entailment both ways; otherwise no contradiction either way and entailment at least
            one way.

    Returns:
        Cluster ids, shape ``(samples,)``, numbered by first appearance.

    Raises:
        UQHarnessError: The matrix is not square, or holds anything but 0, 1 and 2.

    Source:
        Kuhn et al. 2023, arXiv 2302.09664, algorithm 1; relaxed equivalence: Farquhar et al. 2024, Nature 630.

    >>> cluster_by_entailment([[2, 2, 0], [1, 2, 1], [0, 0, 2]]).tolist()
    [0, 0, 1]
    >>> cluster_by_entailment([[2, 2, 0], [1, 2, 1], [0, 0, 2]], strict=True).tolist()
    [0, 1, 2]
    """
    forward = as_integers("labels", labels, ndim=2)
    check_square("labels", forward)
    unknown = forward[(forward < CONTRADICTION) | (forward > ENTAILMENT)]
    if unknown.size:
        raise UQHarnessError(f"labels hold {unknown[0]}, but must be 0 contradiction, 1 neutral or 2 entailment")
    least, most = np.minimum(forward, forward.T), np.maximum(forward, forward.T)
    equivalent = least == ENTAILMENT if strict else (least > CONTRADICTION) & (most == ENTAILMENT)
    clusters = np.full(len(forward), -1, dtype=np.int64)
    for opener in range(len(forward)):
        if clusters[opener] < 0:
            later = opener + 1 + np.flatnonzero(equivalent[opener, opener + 1 :])
            clusters[[opener, *later]] = opener  # for now: the opener's position, made a small number below
    return _numbered_by_first_appearance(clusters)


def semantic_entropy(token_logprobs: Sequence[ArrayLike], cluster_ids: ArrayLike) -> float:
    """Entropy over clusters of meaning, each weighted by its samples' length-normalised likelihood.

    ``P(C) = Σ_{i∈C} e^{l_i} / Σ_j e^{l_j}`` and ``-Σ_C P(C) log P(C)``.

    Args:
        token_logprobs: For each of ``N`` samples the log-probabilities of its tokens, in nats.
        cluster_ids: Which cluster each sample belongs to, shape ``(samples,)``; any whole numbers.

    Returns:
        Nats, 0 to ``log N``; 0 for one sample, ``nan`` without samples or where a sample has no tokens.

    Raises:
        UQHarnessError: Lengths differ, a log-probability is above 0, or a cluster id is not a whole number.

    Source:
        Kuhn et al. 2023, arXiv 2302.09664.

    >>> round(semantic_entropy([[-1.0], [-1.0, -1.0], [-1.0]], [0, 0, 1]), 6)
    0.636514
    """
    log_weights = mean_logprobs(as_logprob_lists("token_logprobs", token_logprobs))
    return _entropy_over_clusters(log_weights, as_integers("cluster_ids", cluster_ids, ndim=1))


def discrete_semantic_entropy(cluster_ids: ArrayLike) -> float:
    """Entropy over clusters of meaning, each weighted by its number of samples, ``P(C) = |C| / N``.

    Args:
        cluster_ids: Which cluster each sample belongs to, shape ``(samples,)``; any whole numbers.

    Returns:
        Nats, 0 to ``log N``; 0 for one sample, ``nan`` without samples.

    Raises:
        UQHarnessError: The argument is not one-dimensional, or a cluster id is not a whole number.

    Source:
        Farquhar et al. 2024, Nature 630 (discrete variant).

    >>> round(discrete_semantic_entropy([0, 0, 1, 1]), 6)
    0.693147
    """
    ids = as_integers("cluster_ids", cluster_ids, ndim=1)
    return _entropy_over_clusters(np.zeros(len(ids)), ids)


def label_prob(cluster_ids: ArrayLike) -> float:
    """Share of the samples outside the largest cluster of meaning, ``1 - max_C |C| / N``.

    Args:
        cluster_ids: Which cluster each sample belongs to, shape ``(samples,)``; any whole numbers.

    Returns:
        0 (all mean the same) to ``1 - 1/N``; ``nan`` without samples.

    Raises:
        UQHarnessError: The argument is not one-dimensional, or a cluster id is not a whole number.

    Source:
        Tian et al. 2023, arXiv 2305.14975 (label probability).

    >>> label_prob([0, 0, 0, 1])
    0.25
    """
    ids = as_integers("cluster_ids", cluster_ids, ndim=1)
    if not ids.size:
        return float("nan")
    return 1.0 - float(np.unique(ids, return_counts=True)[1].max()) / ids.size


def _entropy_over_clusters(log_weights: FloatArray, cluster_ids: IntArray) -> float:
    check_lengths(token_logprobs=log_weights, cluster_ids=cluster_ids)
    if not log_weights.size or not np.max(log_weights) > -np.inf:
        return float("nan")
    _, cluster = np.unique(cluster_ids, return_inverse=True)
    # Relative to the likeliest sample: long answers' likelihoods are all zero otherwise.
    mass = np.bincount(cluster, weights=np.exp(log_weights - log_weights.max()))
    probability = mass[mass > 0] / mass.sum()
    return max(0.0, float(-(probability * np.log(probability)).sum()))


def _numbered_by_first_appearance(clusters: IntArray) -> IntArray:
    _, first, index = np.unique(clusters, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[index].astype(np.int64)
