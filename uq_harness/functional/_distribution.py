"""Scores of the whole distributions that an answer's tokens were taken from."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import FloatArray, as_floats, as_integers, check_lengths, mean_or_nan
from uq_harness.functional.statistics import (
    DistributionSums,
    DominantMass,
    FisherRaoFromUniform,
    LikeliestEntropy,
    Margin,
    MeanLogProb,
    RenyiFromUniform,
    Statistic,
)


def self_certainty(logits: ArrayLike) -> float:
    """How flat the distributions are: ``mean_t (log V + (1/V) Σ_v log p(v))``.

    Args:
        logits: Logits or log-probabilities, shape ``(tokens, vocabulary)``.

    Returns:
        Nats, 0 for flat distributions and below for others; ``-inf`` where a token cannot be; ``nan`` without tokens.

    Raises:
        UQHarnessError: The argument is not two-dimensional.

    Source:
        Kang et al. 2025, arXiv 2502.18581, negated.

    >>> round(self_certainty([[0.0, 0.0]]), 6), round(self_certainty([[4.0, 0.0]]), 6)
    (0.0, -1.325003)
    """
    return _mean(logits, MeanLogProb())


def probability_margin(logits: ArrayLike) -> float:
    """How close the two likeliest tokens are: ``1 - mean_t (p_(1) - p_(2))``.

    Args:
        logits: Logits or log-probabilities, shape ``(tokens, vocabulary)``.

    Returns:
        0 to 1; ``nan`` without tokens.

    Raises:
        UQHarnessError: The argument is not two-dimensional, or has fewer than two tokens to choose from.

    Source:
        Farr et al. 2024, arXiv 2408.08217.

    >>> round(probability_margin([[0.0, 0.0]]), 6)
    1.0
    """
    return 1 - _mean(logits, Margin())


def boosted_probability(logits: ArrayLike, token_ids: ArrayLike) -> float:
    """``1 - mean_t b_t``, ``b_t`` the dominant tokens' probability if the answer's token is one of them, else its own.

    Dominant are the likeliest tokens up to the last gap, a rank whose probability exceeds the next one's by more than
    0.3 of itself and more than 0.005.

    Args:
        logits: Logits or log-probabilities, shape ``(tokens, vocabulary)``.
        token_ids: The answer's tokens, shape ``(tokens,)``.

    Returns:
        0 to 1; ``nan`` without tokens.

    Raises:
        UQHarnessError: Shapes do not fit, or a token is not in the vocabulary.

    Source:
        Dinh and Niehues 2025, arXiv 2502.11115.

    >>> round(boosted_probability([[2.0, 2.0, -2.0]], [1]), 6)
    0.009075
    """
    return 1 - _mean(logits, DominantMass(), token_ids)


def top_k_entropy(logits: ArrayLike, top_k: int = 15, reduce: Literal["mean", "max"] = "mean") -> float:
    """Entropy of the renormalised ``k`` likeliest tokens over ``log k``, its mean or maximum over the answer's tokens.

    Args:
        logits: Logits or log-probabilities, shape ``(tokens, vocabulary)``.
        top_k: Number of likeliest tokens, from 2 to the vocabulary's.
        reduce: ``mean`` or ``max``.

    Returns:
        0 to 1; ``nan`` without tokens.

    Raises:
        UQHarnessError: The shape does not fit, or ``top_k`` or ``reduce`` is not allowed.

    Source:
        Scalena et al. 2025, arXiv 2510.11170.

    >>> round(top_k_entropy([[1.0, 1.0, -9.0], [9.0, 0.0, 0.0]], top_k=2), 6)
    0.50089
    """
    found = _each(logits, LikeliestEntropy(top_k))
    if reduce not in ("mean", "max"):
        raise UQHarnessError(f"reduce is {reduce!r}, but must be 'mean' or 'max'")
    return mean_or_nan(found) if reduce == "mean" or not found.size else float(found.max())


def renyi_divergence(logits: ArrayLike, order: float = 0.5, temperature: float = 2.0) -> float:
    """Minus the Rényi divergence from flat distributions: ``-mean_t (log V - H_α(p^(1/τ)))``.

    ``H_α = log(Σ_v p_v^α) / (1 - α)``.

    Args:
        logits: Logits or log-probabilities, shape ``(tokens, vocabulary)``.
        order: ``α``, above 0 and not 1.
        temperature: ``τ``, which divides the logits first.

    Returns:
        Nats, ``-log V`` to 0; ``nan`` without tokens.

    Raises:
        UQHarnessError: The shape does not fit, or order or temperature is not allowed.

    Source:
        Darrin et al. 2023, arXiv 2212.09171.

    >>> round(renyi_divergence([[4.0, 0.0]]), 6)
    -0.193552
    """
    return -_mean(logits, RenyiFromUniform(order, temperature))


def fisher_rao(logits: ArrayLike, temperature: float = 2.0) -> float:
    """Minus the Fisher-Rao distance from flat distributions: ``-mean_t (2/π) arccos Σ_v sqrt(p_v / V)``.

    Args:
        logits: Logits or log-probabilities, shape ``(tokens, vocabulary)``.
        temperature: Divides the logits first.

    Returns:
        -1 to 0; ``nan`` without tokens.

    Raises:
        UQHarnessError: The shape does not fit, or the temperature is not above 0.

    Source:
        Darrin et al. 2023, arXiv 2212.09171.

    >>> round(fisher_rao([[4.0, 0.0]]), 6)
    -0.275583
    """
    return -_mean(logits, FisherRaoFromUniform(temperature))


def _mean(logits: ArrayLike, statistic: Statistic, token_ids: ArrayLike | None = None) -> float:
    return mean_or_nan(_each(logits, statistic, token_ids))


def _each(logits: ArrayLike, statistic: Statistic, token_ids: ArrayLike | None = None) -> FloatArray:
    """A statistic of each row."""
    scores = as_floats("logits", logits, ndim=2)
    tokens = np.zeros(len(scores), dtype=np.int64) if token_ids is None else as_integers("token_ids", token_ids, ndim=1)
    check_lengths(logits=scores, token_ids=tokens)
    if not scores.size:
        return np.zeros(0)
    vocabulary = scores.shape[1]
    outside = tokens[(tokens < 0) | (tokens >= vocabulary)]
    if outside.size:
        raise UQHarnessError(f"token_ids holds {outside[0]}, but logits has {vocabulary} tokens, from 0 on")
    if statistic.n_likeliest > vocabulary and not statistic.reads_gaps:
        raise UQHarnessError(f"the {statistic.n_likeliest} likeliest tokens are read, but logits has {vocabulary}")
    logprobs = scores - _log_sum(scores, 1.0)[:, np.newaxis]
    ordered = -np.sort(-logprobs, axis=1) if statistic.n_likeliest else None
    sums = DistributionSums(
        chosen=logprobs[np.arange(len(tokens)), tokens],
        vocabulary=vocabulary,
        mean_logprobs=logprobs.mean(axis=1),
        log_power_sums={exponent: _log_sum(logprobs, exponent) for exponent in statistic.powers},
        likeliest=ordered,
    )
    return statistic.of(sums)


def _log_sum(scores: FloatArray, exponent: float) -> FloatArray:
    """``log Σ_v e^(a x_v)`` of each row."""
    highest = scores.max(axis=1, keepdims=True)
    return np.asarray(
        exponent * highest[:, 0] + np.log(np.exp(exponent * (scores - highest)).sum(axis=1)), dtype=np.float64
    )
