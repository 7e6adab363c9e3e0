"""Scores of nothing but token log-probabilities: G-NLL and length-normalised predictive entropy."""

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


def mean_logprobs(samples: list[FloatArray]) -> FloatArray:
    """``l_i``: each sample's mean token log-probability, ``nan`` where there is no token."""
    return np.array([mean_or_nan(tokens) for tokens in samples])
