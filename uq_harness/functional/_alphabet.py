"""How many meanings the model could have given, seen or not, and the entropy over meanings corrected for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.functional._arrays import IntArray, as_floats, as_integers, check_lengths
from uq_harness.functional._graph import eigenvalue_laplacian


def semantic_alphabet_size(cluster_ids: ArrayLike, similarity: ArrayLike) -> float:
    """Estimated number of meanings that the model's answers have, those that no sample showed included.

    With ``K`` clusters among ``N`` samples, ``f`` of them of one sample alone, Good and Turing estimate that the
    clusters seen hold ``1 - f/N`` of the probability, and so that there are ``K N / (N - f)`` meanings. The result is
    that number or `eigenvalue_laplacian` of the samples' graph, whichever is larger; where each sample is a cluster of
    its own, Good and Turing see no end to them, and the graph alone decides.

    Args:
        cluster_ids: Which cluster each sample belongs to, shape ``(samples,)``; any whole numbers.
        similarity: The graph's weights, shape ``(samples, samples)``, symmetric, 1 on the diagonal.

    Returns:
        1 (all alike) to ``N (N - 1) / 2`` (all but two of many samples mean something of their own); 1 for one
        sample, ``nan`` without samples or where a similarity is ``nan``.

    Raises:
        UQHarnessError: Lengths differ, a cluster id is not a whole number, or the matrix is not one that
            `eigenvalue_laplacian` takes.

    Source:
        McCabe et al. 2025, arXiv 2509.14478 (hybrid estimator), and the authors' code.

    >>> apart = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    >>> semantic_alphabet_size([0, 0, 1, 2], apart), semantic_alphabet_size([0, 1, 2, 3], apart)
    (6.0, 4.0)
    """
    sizes, spectral = _clusters_and_spectrum(cluster_ids, similarity)
    return _hybrid(sizes, spectral)


def coverage_adjusted_semantic_entropy(cluster_ids: ArrayLike, similarity: ArrayLike) -> float:
    """Entropy over clusters of meaning, corrected for the meanings that no sample showed.

    The clusters seen are ``K`` of the `semantic_alphabet_size`; that share is the coverage ``c``. The entropy is Chao
    and Shen's, ``-Σ_C q log q / (1 - (1 - q)^N)`` with ``q = c |C| / N``: probabilities scaled to the share that was
    seen, and each term divided by the probability that a sample of ``N`` shows the cluster at all.

    Args:
        cluster_ids: Which cluster each sample belongs to, shape ``(samples,)``; any whole numbers.
        similarity: The graph's weights, shape ``(samples, samples)``, symmetric, 1 on the diagonal.

    Returns:
        Nats, at least 0; 0 for one sample, ``nan`` without samples or where a similarity is ``nan``.

    Raises:
        UQHarnessError: See `semantic_alphabet_size`.

    Source:
        McCabe et al. 2025, arXiv 2509.14478, with the hybrid estimator; Chao and Shen 2003,
        doi 10.1023/A:1026096204727.

    >>> apart = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    >>> round(coverage_adjusted_semantic_entropy([0, 0, 1, 2], apart), 2)
    1.76
    """
    sizes, spectral = _clusters_and_spectrum(cluster_ids, similarity)
    size, drawn = _hybrid(sizes, spectral), sizes.sum()
    if np.isnan(size):
        return float("nan")
    share = len(sizes) / size * sizes / drawn
    return max(0.0, float(-(share * np.log(share) / (1.0 - (1.0 - share) ** drawn)).sum()))


def _clusters_and_spectrum(cluster_ids: ArrayLike, similarity: ArrayLike) -> tuple[IntArray, float]:
    """Number of samples of each cluster, and the graph's soft count of meanings."""
    ids = as_integers("cluster_ids", cluster_ids, ndim=1)
    spectral = eigenvalue_laplacian(similarity)
    if ids.size or np.size(similarity):
        check_lengths(cluster_ids=ids, similarity=as_floats("similarity", similarity, ndim=2))
    return np.unique(ids, return_counts=True)[1].astype(np.int64), spectral


def _hybrid(sizes: IntArray, spectral: float) -> float:
    drawn, alone = int(sizes.sum()), int((sizes == 1).sum())
    if alone == drawn or np.isnan(spectral):
        return spectral
    return max(len(sizes) * drawn / (drawn - alone), spectral)
