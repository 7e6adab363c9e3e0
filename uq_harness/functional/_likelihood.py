"""Scores of nothing but token log-probabilities: of the answer, and of samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.functional._arrays import FloatArray, as_logprob_lists, as_logprobs, mean_or_nan


def g_nll(token_logprobs: ArrayLike) -> float:
    """G-NLL: negative log-likelihood of the greedy answer, ``-Σ_t log p(y_t)``.

    Args:
        token_logprobs: Log-probabilities of the answer's tokens, shape ``(tokens,)``, in nats.

    Returns:
        Nats, 0 or more; ``nan`` for an answer without tokens, which is not a sure one.

    Raises:
        UQHarnessError: The argument is not one-dimensional, or holds a number above 0.

    Source:
        Aichberger et al. 2024, arXiv 2412.15176.

    >>> g_nll([-0.5, -0.25])
    0.75
    """
    logprobs = as_logprobs("token_logprobs", token_logprobs)
    return float(-logprobs.sum()) if logprobs.size else float("nan")


def perplexity(token_logprobs: ArrayLike) -> float:
    """Mean negative log-probability of the answer's tokens, ``-(1/T) Σ_t log p(y_t)``: the logarithm of its perplexity.

    Args:
        token_logprobs: Log-probabilities of the answer's tokens, shape ``(tokens,)``, in nats.

    Returns:
        Nats a token, 0 or more; ``nan`` for an answer without tokens.

    Raises:
        UQHarnessError: The argument is not one-dimensional, or holds a number above 0.

    Source:
        Fomicheva et al. 2020, arXiv 2005.10608.

    >>> perplexity([-0.5, -0.25])
    0.375
    """
    return mean_or_nan(-as_logprobs("token_logprobs", token_logprobs))


def max_token_nll(token_logprobs: ArrayLike) -> float:
    """Negative log-probability of the answer's least likely token, ``-min_t log p(y_t)``.

    Args:
        token_logprobs: Log-probabilities of the answer's tokens, shape ``(tokens,)``, in nats.

    Returns:
        Nats, 0 or more; ``nan`` for an answer without tokens.

    Raises:
        UQHarnessError: The argument is not one-dimensional, or holds a number above 0.

    Source:
        Manakul et al. 2023, arXiv 2303.08896 (there of each sentence).

    >>> max_token_nll([-0.5, -0.25])
    0.5
    """
    logprobs = as_logprobs("token_logprobs", token_logprobs)
    return float(-logprobs.min()) if logprobs.size else float("nan")


def ln_pe(token_logprobs: Sequence[ArrayLike]) -> float:
    """Length-normalised predictive entropy: the samples' mean negative log-probability per token, ``-(1/N) Σ_i l_i``.

    Args:
        token_logprobs: For each of ``N`` samples the log-probabilities of its tokens, in nats; lengths may differ.

    Returns:
        Nats per token, 0 or more; ``nan`` without samples, or where a sample has no tokens.

    Raises:
        UQHarnessError: A sample's entry is not one-dimensional, or holds a number above 0.

    Source:
        Malinin and Gales 2021, arXiv 2002.07650.

    >>> ln_pe([[-1.0], [-0.25, -0.75]])
    0.75
    """
    return mean_or_nan(-mean_logprobs(as_logprob_lists("token_logprobs", token_logprobs)))


def predictive_entropy(token_logprobs: Sequence[ArrayLike]) -> float:
    """Predictive entropy estimated from samples: their mean negative log-likelihood, ``-(1/N) Σ_i Σ_t log p(s_i,t)``.

    Args:
        token_logprobs: For each of ``N`` samples the log-probabilities of its tokens, in nats; lengths may differ.

    Returns:
        Nats, 0 or more; ``nan`` without samples, or where a sample has no tokens.

    Raises:
        UQHarnessError: A sample's entry is not one-dimensional, or holds a number above 0.

    Source:
        Malinin and Gales 2021, arXiv 2002.07650; Kuhn et al. 2023, arXiv 2302.09664.

    >>> predictive_entropy([[-1.0], [-0.25, -0.75]])
    1.0
    """
    samples = as_logprob_lists("token_logprobs", token_logprobs)
    return mean_or_nan(np.array([-tokens.sum() if tokens.size else np.nan for tokens in samples]))


def monte_carlo_probability(token_logprobs: Sequence[ArrayLike]) -> float:
    """How improbable answers are, per token: ``1 - (1/N) Σ_i e^{l_i}`` with ``l_i`` the mean token log-probability.

    Args:
        token_logprobs: For each of ``N`` answers, the greedy one among them, the log-probabilities of its tokens, in
            nats; lengths may differ.

    Returns:
        0 to 1; ``nan`` without answers, or where one has no tokens.

    Raises:
        UQHarnessError: An answer's entry is not one-dimensional, or holds a number above 0.

    Source:
        Kuhn et al. 2023, arXiv 2302.09664; as uqlm (CVS Health) has it.

    >>> round(monte_carlo_probability([[0.0, 0.0], [-1.0, -1.0]]), 6)
    0.31606
    """
    return mean_or_nan(1.0 - np.exp(mean_logprobs(as_logprob_lists("token_logprobs", token_logprobs))))


def mean_logprobs(samples: list[FloatArray]) -> FloatArray:
    """``l_i``: each sample's mean token log-probability, ``nan`` where there is no token."""
    return np.array([mean_or_nan(tokens) for tokens in samples])
