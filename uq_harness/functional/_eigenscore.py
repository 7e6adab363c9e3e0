"""EigenScore: how widely the samples' hidden states spread."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import as_floats, check_positive


def eigenscore(embeddings: ArrayLike, alpha: float = 1e-3) -> float:
    """EigenScore (INSIDE): mean log-eigenvalue of the samples' regularised covariance, ``(1/N) log det(Σ + αI)``.

    ``Σ`` is ``N×N``: the covariance between samples over the embedding's features.

    Args:
        embeddings: One hidden state a sample, shape ``(samples, features)``.
        alpha: What is added to every eigenvalue; equal samples give ``log α`` in all directions but one.

    Returns:
        Nats, any sign; ``nan`` without samples, or where an embedding is not finite.

    Raises:
        UQHarnessError: The argument is not two-dimensional, has fewer than two features, or ``alpha`` is not above 0.

    Source:
        Chen et al. 2024, arXiv 2402.03744.

    >>> round(eigenscore([[1.0, -1.0], [1.0, -1.0]], alpha=1.0), 6)  # eigenvalues 4 and 0, plus 1
    0.804719
    """
    check_positive("alpha", alpha)
    states = as_floats("embeddings", embeddings, ndim=2)
    if not states.size or not np.isfinite(states).all():
        return float("nan")
    n_samples, n_features = states.shape
    if n_features < 2:
        raise UQHarnessError(f"embeddings have {n_features} feature, but a covariance needs at least 2")
    centred = states - states.mean(axis=1, keepdims=True)
    # Singular values of the data, not eigenvalues of their products: squaring first would lose the small ones.
    eigenvalues = np.zeros(n_samples)
    singular = np.linalg.svd(centred, compute_uv=False)
    eigenvalues[: len(singular)] = singular**2 / (n_features - 1)
    return float(np.log(eigenvalues + alpha).mean())
