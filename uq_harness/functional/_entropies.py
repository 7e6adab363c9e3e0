"""Scores of nothing but the entropies of the distributions that the answer's tokens were taken from."""

from __future__ import annotations

from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import FloatArray, as_floats, mean_or_nan

_ROUNDING = 1e-6


def mean_token_entropy(token_entropies: ArrayLike) -> float:
    """Mean of the entropies of the next-token distributions, ``(1/T) Σ_t H_t``.

    Args:
        token_entropies: ``H_t``, entropy of the distribution that each token of the answer was taken from, shape
            ``(tokens,)``, in nats.

    Returns:
        Nats, 0 or more; ``nan`` for an answer without tokens.

    Raises:
        UQHarnessError: The argument is not one-dimensional, or holds a negative number.

    Source:
        Fomicheva et al. 2020, arXiv 2005.10608.

    >>> mean_token_entropy([0.5, 1.0])
    0.75
    """
    return mean_or_nan(_entropies(token_entropies))


def max_token_entropy(token_entropies: ArrayLike) -> float:
    """Largest entropy of a next-token distribution, ``max_t H_t``.

    Args:
        token_entropies: ``H_t``, as in `mean_token_entropy`.

    Returns:
        Nats, 0 or more; ``nan`` for an answer without tokens.

    Raises:
        UQHarnessError: The argument is not one-dimensional, or holds a negative number.

    Source:
        Fomicheva et al. 2020, arXiv 2005.10608.

    >>> max_token_entropy([0.5, 1.0])
    1.0
    """
    entropies = _entropies(token_entropies)
    return float(entropies.max()) if entropies.size else float("nan")


def _entropies(values: ArrayLike) -> FloatArray:
    entropies = as_floats("token_entropies", values, ndim=1)
    negative = entropies[entropies < -_ROUNDING]
    if negative.size:
        raise UQHarnessError(f"token_entropies holds {negative[0]:g}, but an entropy is at least 0")
    return entropies
