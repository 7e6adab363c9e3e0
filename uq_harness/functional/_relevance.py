"""SAR (shifting attention to relevance) and its two halves, token-SAR and sentence-SAR."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import (
    FloatArray,
    as_logprob_lists,
    as_unit_interval,
    check_lengths,
    check_positive,
    check_square,
    mean_or_nan,
)


def token_sar(token_logprobs: Sequence[ArrayLike], token_importance: Sequence[ArrayLike]) -> float:
    """Mean over samples of the relevance-weighted negative log-probability, ``-(1/N) Σ_i log p'_i``.

    ``log p'_i = Σ_t (R_t / ΣR) log p(s_i,t)``: tokens that carry no meaning carry no uncertainty either.

    Args:
        token_logprobs: For each of ``N`` samples the log-probabilities of its tokens, in nats.
        token_importance: The relevances ``R_t`` of the same tokens, 0 to 1: one minus the similarity of the text with
            and without the token. Where all of a sample's are zero, its tokens weigh the same.

    Returns:
        Nats per token, 0 or more; ``nan`` without samples, or where a sample has no tokens.

    Raises:
        UQHarnessError: Lengths differ, a log-probability is above 0, or a relevance leaves [0, 1].

    Source:
        Duan et al. 2023, arXiv 2307.01379.

    >>> token_sar([[-1.0, -3.0]], [[0.75, 0.25]])
    1.5
    """
    return mean_or_nan(-_relevant_logprobs(token_logprobs, token_importance))


def sentence_sar(token_logprobs: Sequence[ArrayLike], similarity: ArrayLike, temperature: float = 1e-3) -> float:
    """Mean over samples of ``-log(p_i + (1/temperature) Σ_{j≠i} g(s_i, s_j) p_j)`` with ``p_i`` the whole likelihood.

    Samples that others resemble gain their probability.

    Args:
        token_logprobs: For each of ``N`` samples the log-probabilities of its tokens, in nats.
        similarity: ``g``, shape ``(samples, samples)``, 0 to 1. The diagonal is not read.
        temperature: The smaller, the more the other samples count.

    Returns:
        Nats; negative where the raised probability is above 1. ``nan`` without samples, or where a sample has no
        tokens.

    Raises:
        UQHarnessError: Shapes do not match, a log-probability is above 0, a similarity leaves [0, 1], or
            ``temperature`` is not above 0.

    Source:
        Duan et al. 2023, arXiv 2307.01379.

    >>> sentence_sar([[-1.0, -1.0], [-4.0]], [[1.0, 0.0], [0.0, 1.0]])
    3.0
    """
    samples = as_logprob_lists("token_logprobs", token_logprobs)
    totals = np.array([tokens.sum() if tokens.size else np.nan for tokens in samples])
    return _shifted(totals, similarity, temperature)


def sar(
    token_logprobs: Sequence[ArrayLike],
    token_importance: Sequence[ArrayLike],
    similarity: ArrayLike,
    temperature: float = 1e-3,
) -> float:
    """Mean over samples of ``-log(p'_i + (1/temperature) Σ_{j≠i} g(s_i, s_j) p'_j)``, tokens weighted by relevance.

    Args:
        token_logprobs: For each of ``N`` samples the log-probabilities of its tokens, in nats.
        token_importance: Relevances of the same tokens, as in `token_sar`.
        similarity: ``g``, as in `sentence_sar`.
        temperature: The smaller, the more the other samples count.

    Returns:
        Nats; negative where the raised probability is above 1. For one sample the same as `token_sar`. ``nan`` without
        samples, or where a sample has no tokens.

    Raises:
        UQHarnessError: As for `token_sar` and `sentence_sar`.

    Source:
        Duan et al. 2023, arXiv 2307.01379.

    >>> sar([[-1.0, -3.0], [-2.0]], [[0.5, 0.5], [0.3]], [[1.0, 0.0], [0.0, 1.0]])
    2.0
    """
    return _shifted(_relevant_logprobs(token_logprobs, token_importance), similarity, temperature)


def _relevant_logprobs(token_logprobs: Sequence[ArrayLike], token_importance: Sequence[ArrayLike]) -> FloatArray:
    """``log p'_i`` of each sample."""
    samples = as_logprob_lists("token_logprobs", token_logprobs)
    importance = [
        as_unit_interval(f"token_importance[{index}]", relevances, ndim=1)
        for index, relevances in enumerate(token_importance)
    ]
    check_lengths(token_logprobs=samples, token_importance=importance)
    return np.array(
        [_relevant_logprob(index, *pair) for index, pair in enumerate(zip(samples, importance, strict=True))]
    )


def _relevant_logprob(index: int, logprobs: FloatArray, relevance: FloatArray) -> float:
    if len(logprobs) != len(relevance):
        raise UQHarnessError(
            f"sample {index} has {len(logprobs)} token log-probabilities but {len(relevance)} relevances: each token "
            "needs one"
        )
    total = relevance.sum()
    if total == 0:
        return mean_or_nan(logprobs)
    counted = relevance != 0  # an impossible token without relevance is left out, not 0 * inf
    return float(relevance[counted] / total @ logprobs[counted])


def _shifted(logprobs: FloatArray, similarity: ArrayLike, temperature: float) -> float:
    """Mean of ``-log(p_i + (1/temperature) Σ_{j≠i} g_ij p_j)``, never leaving the logarithm."""
    check_positive("temperature", temperature)
    resemblance = as_unit_interval("similarity", similarity, ndim=2)
    check_square("similarity", resemblance, len(logprobs))
    factor = resemblance / temperature
    np.fill_diagonal(factor, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):  # log 0: nothing gained from an unlike sample
        log_terms = np.log(factor) + logprobs
        return mean_or_nan(-np.logaddexp.reduce(log_terms, axis=1))
