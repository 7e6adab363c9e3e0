"""Means over the greedy answer's tokens: perplexity and entropy."""

from __future__ import annotations

from numpy.typing import ArrayLike

from uq_harness.functional._arrays import as_floats, as_logprobs, mean_or_nan


def perplexity(token_logprobs: ArrayLike) -> float:
    """Mean negative log-probability per token, ``-mean_t log p(y_t)``; its exponential is the perplexity.

    Args:
        token_logprobs: Log-probabilities of the answer's tokens, shape ``(tokens,)``, in nats.

    Returns:
        Nats per token, 0 or more; ``nan`` for an answer without tokens.

    Raises:
        UQHarnessError: The argument is not one-dimensional, or holds a number above 0.

    Source:
        Fomicheva et al. 2020, arXiv 2005.10608.

    >>> perplexity([-0.5, -0.25])
    0.375
    """
    return -mean_or_nan(as_logprobs("token_logprobs", token_logprobs))


def mean_token_entropy(token_entropies: ArrayLike) -> float:
    """Mean entropy of the distributions that the answer's tokens were taken from.

    Args:
        token_entropies: One entropy a token, shape ``(tokens,)``, in nats.

    Returns:
        Nats, 0 or more; ``nan`` for an answer without tokens.

    Raises:
        UQHarnessError: The argument is not one-dimensional.

    Source:
        Fomicheva et al. 2020, arXiv 2005.10608.

    >>> mean_token_entropy([1.0, 0.5])
    0.75
    """
    return mean_or_nan(as_floats("token_entropies", token_entropies, ndim=1))
