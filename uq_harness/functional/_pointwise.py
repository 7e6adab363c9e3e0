"""How much the question raises an answer's token probabilities: pointwise mutual information, plain and conditional."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.functional._arrays import FloatArray, as_floats, as_logprobs, check_lengths, mean_or_nan


def pointwise_mutual_information(token_logprobs: ArrayLike, unconditional_logprobs: ArrayLike) -> float:
    """Negative mean pointwise mutual information of question and answer, ``-mean_t (log p_t - log p(y_t | y_<t))``.

    The first token's unconditional log-probability is not subtracted, nor read.

    Args:
        token_logprobs: Log-probabilities of the answer's tokens after the question, shape ``(tokens,)``, in nats.
        unconditional_logprobs: Those of the same tokens without the question, of the same shape.

    Returns:
        Nats per token, of either sign; ``nan`` for an answer without tokens, where a number that is read is ``nan``,
        and where a token is impossible both ways.

    Raises:
        UQHarnessError: Lengths differ, or a log-probability is above 0.

    Source:
        Takayama and Arase 2019, W19-4115 (ACL Anthology).

    >>> pointwise_mutual_information([-0.5, -0.25], [-4.0, -0.75])
    0.0
    """
    logprobs, alone = _read(token_logprobs, unconditional_logprobs)
    return _mean_difference(alone, logprobs)


def conditional_pmi(
    token_logprobs: ArrayLike,
    unconditional_logprobs: ArrayLike,
    token_entropies: ArrayLike,
    threshold: float = 0.0656,
    weight: float = 3.599,
) -> float:
    """Pointwise mutual information at uncertain tokens only, ``-mean_t (log p_t - λ 1[H_t >= τ] log p(y_t | y_<t))``.

    The first token's unconditional log-probability is not subtracted, nor read.

    Args:
        token_logprobs: Log-probabilities of the answer's tokens after the question, shape ``(tokens,)``, in nats.
        unconditional_logprobs: Those of the same tokens without the question, of the same shape.
        token_entropies: Entropies of the distributions after the question, of the same shape, in nats.
        threshold: Entropy ``τ`` in nats from which on a token is uncertain.
        weight: ``λ``, how much the unconditional log-probabilities count.

    Returns:
        Nats per token, of either sign; ``nan`` for an answer without tokens, where a number that is read is ``nan``,
        and where a token is impossible both ways and counts.

    Raises:
        UQHarnessError: Lengths differ, or a log-probability is above 0.

    Source:
        van der Poel et al. 2022, arXiv 2210.13210, equation 3.

    >>> round(conditional_pmi([-0.5, -0.25, -0.1], [-4.0, -0.75, -1.0], [2.0, 1.0, 0.0], weight=1.0), 6)
    0.033333
    """
    logprobs, alone = _read(token_logprobs, unconditional_logprobs)
    entropies = as_floats("token_entropies", token_entropies, ndim=1)
    check_lengths(token_logprobs=logprobs, token_entropies=entropies)
    if np.isnan(entropies).any() or np.isnan(alone).any():
        return float("nan")
    # chosen, not multiplied: a probability of 0 does not count at a sure token, nor without a weight
    counted = np.where((entropies >= threshold) & (weight != 0), alone * (weight or 1.0), 0.0)
    return _mean_difference(counted, logprobs)


def _read(token_logprobs: ArrayLike, unconditional_logprobs: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Both rows of log-probabilities, the second with 0 in the place of the first token's."""
    logprobs = as_logprobs("token_logprobs", token_logprobs)
    alone = as_logprobs("unconditional_logprobs", unconditional_logprobs).copy()
    check_lengths(token_logprobs=logprobs, unconditional_logprobs=alone)
    alone[:1] = 0.0
    return logprobs, alone


def _mean_difference(first: FloatArray, second: FloatArray) -> float:
    with np.errstate(invalid="ignore"):  # of two infinite numbers
        return mean_or_nan(first - second)
