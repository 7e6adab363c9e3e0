"""Spectra of the graph of samples: EigV, eccentricity and kernel language entropy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import FloatArray, as_floats, as_unit_interval, check_positive, check_square

_SLACK = 1e-6
# Eigenvalues are right to about this: nearer ones are equal, and digits beyond it are noise that would break ties.
_ROUNDING, _DIGITS = 1e-9, 12
# Below this an eigenvalue of the kernel counts as 0.
_NO_MASS = 1e-8


def eigenvalue_laplacian(similarity: ArrayLike) -> float:
    """EigV: a soft count of the samples' meanings, ``Σ_k max(0, 1 - λ_k)``.

    ``λ`` are the eigenvalues of the normalised Laplacian ``I - D^{-1/2} W D^{-1/2}`` with ``D_ii = Σ_j W_ij``.

    Args:
        similarity: ``W``, shape ``(samples, samples)``, symmetric, 1 on the diagonal.

    Returns:
        1 (all alike) to ``N`` (no similarity at all); 1 for one sample, ``nan`` without samples or where a similarity
        is ``nan``.

    Raises:
        UQHarnessError: The matrix is not square or not symmetric, leaves [0, 1], or has another diagonal.

    Source:
        Lin et al. 2023, arXiv 2305.19187 (number of semantic sets, continuous).

    >>> eigenvalue_laplacian([[1.0, 0.0], [0.0, 1.0]]), eigenvalue_laplacian([[1.0, 1.0], [1.0, 1.0]])
    (2.0, 1.0)
    """
    found = _spectrum(similarity)
    return float("nan") if found is None else round(float(np.maximum(0.0, 1.0 - found[0]).sum()), _DIGITS)


def eccentricity(similarity: ArrayLike, threshold: float = 0.9) -> float:
    """Ecc: how far the samples lie from their centre in the space of the graph's smooth eigenvectors.

    ``|| V - column means ||_F`` with ``V`` the eigenvectors of the normalised Laplacian (see `eigenvalue_laplacian`)
    whose eigenvalues are below the threshold.

    Args:
        similarity: ``W``, shape ``(samples, samples)``, symmetric, 1 on the diagonal.
        threshold: Eigenvalues below it count; one within rounding of it does not.

    Returns:
        0 (all alike) to ``sqrt(N - 1)``; 0 for one sample, ``nan`` without samples or where a similarity is ``nan``.

    Raises:
        UQHarnessError: The matrix is not square or not symmetric, leaves [0, 1], or has another diagonal; the threshold
            is not above 0.

    Source:
        Lin et al. 2023, arXiv 2305.19187, equation 5.

    >>> round(eccentricity([[1.0, 0.0], [0.0, 1.0]]), 6), eccentricity([[1.0, 1.0], [1.0, 1.0]])
    (1.0, 0.0)
    """
    check_positive("threshold", threshold)
    found = _spectrum(similarity)
    if found is None:
        return float("nan")
    values, vectors = found
    kept = vectors[:, values < threshold - _ROUNDING]
    return round(float(np.linalg.norm(kept - kept.mean(axis=0, keepdims=True))), _DIGITS)


def kernel_language_entropy(weights: ArrayLike, time: float = 0.3) -> float:
    """Von Neumann entropy of the heat kernel of the samples' graph, over ``log N``.

    With ``L = D - W`` the kernel is the matrix exponential ``exp(-time · L)``, scaled to a diagonal of ``1/N``; the
    score is ``-Σ μ log μ / log N`` over its eigenvalues.

    Args:
        weights: ``W``, shape ``(samples, samples)``, symmetric: the sum of both directions' weights, 0 to 2 each. The
            diagonal cancels.
        time: How long heat spreads.

    Returns:
        About 0 (all alike; the kernel has not quite mixed at a small time) to 1; 0 for one sample, ``nan`` without
        samples or where a weight is ``nan``.

    Raises:
        UQHarnessError: The matrix is not square or not symmetric, leaves [0, 2], or the time is not above 0.

    Source:
        Nikitin et al. 2024, arXiv 2405.20003.

    >>> kernel_language_entropy([[2.0, 0.0], [0.0, 2.0]])
    1.0
    >>> round(kernel_language_entropy([[2.0, 2.0], [2.0, 2.0]]), 6)
    0.780574
    """
    check_positive("time", time)
    graph = as_floats("weights", weights, ndim=2)
    outside = graph[(graph < -_SLACK) | (graph > 2 + _SLACK)]
    if outside.size:
        raise UQHarnessError(f"weights holds {outside[0]:g}, but must be between 0 and 2, the sum of both directions")
    if not _usable("weights", graph):
        return float("nan")
    n = len(graph)
    if n == 1:
        return 0.0
    values, vectors = np.linalg.eigh(np.diag(graph.sum(axis=1)) - (graph + graph.T) / 2)
    kernel = (vectors * np.exp(-time * values)) @ vectors.T
    scale = np.sqrt(n * np.diag(kernel))
    masses = np.linalg.eigvalsh(kernel / np.outer(scale, scale))
    masses = masses[masses > _NO_MASS]
    return max(0.0, round(float(-(masses * np.log(masses)).sum() / np.log(n)), _DIGITS))


def _spectrum(similarity: ArrayLike) -> tuple[FloatArray, FloatArray] | None:
    """Eigenvalues and eigenvectors of the normalised Laplacian; ``None`` where there is none."""
    weights = as_unit_interval("similarity", similarity, ndim=2)
    if not _usable("similarity", weights):
        return None
    own = np.diag(weights)[np.abs(np.diag(weights) - 1) > _SLACK]
    if own.size:
        raise UQHarnessError(f"similarity has {own[0]:g} on the diagonal, but a sample's similarity to itself is 1")
    scale = np.sqrt(weights.sum(axis=1))
    values, vectors = np.linalg.eigh(np.eye(len(weights)) - weights / np.outer(scale, scale))
    return values, vectors


def _usable(name: str, matrix: FloatArray) -> bool:
    """Whether a graph has nodes and no unknown weight.

    Raises:
        UQHarnessError: The matrix is not square or not symmetric.
    """
    check_square(name, matrix)
    if not matrix.size or np.isnan(matrix).any():
        return False
    if np.abs(matrix - matrix.T).max() > _SLACK:
        raise UQHarnessError(f"{name} is not symmetric: take the mean (or sum) of both directions first")
    return True
