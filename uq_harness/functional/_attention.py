"""Scores of attention weights: RAUQ, LLM-Check's attention score, and CSL."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import FloatArray, as_floats, as_logprobs, as_unit_interval, mean_or_nan

# What rounding may leave of a confidence of 0, as of `log V - H`.
_SLACK = 1e-6


def rauq(confidence: ArrayLike, attention: ArrayLike, alpha: float = 0.2) -> float:
    """RAUQ: confidence in the answer's tokens, handed on by the head that attends most to the token before.

    In each layer that head is the one with the largest mean weight over the answer, the first of equal ones. With its
    weights ``a``, ``c_1 = p_1`` and ``c_t = alpha p_t + (1 - alpha) a_t c_{t-1}``; the score is the largest
    ``-mean_t log c_t`` of all layers.

    Args:
        confidence: ``p_t``, one number a token, 0 or more: the token's probability, or another confidence.
        attention: The weight that each token but the last gives to itself when it is fed to the model,
            ``(layers, heads, tokens - 1)``. It is the weight of the token before when the next one is chosen.
        alpha: Share of the token's own confidence, from 0 to 1; 1 leaves ``-mean_t log p_t``.

    Returns:
        Nats per token, below 0 where confidences are above 1; ``nan`` for an answer without tokens.

    Raises:
        UQHarnessError: Shapes do not fit, a weight is outside [0, 1], a confidence negative, or ``alpha`` outside
            [0, 1].

    Source:
        Vazhentsev et al. 2025, arXiv 2505.20045, equation 3.

    >>> round(rauq([0.5, 0.8], [[[0.25], [0.5]]], alpha=0.2), 6)
    0.857399
    """
    of_tokens = rauq_tokens(confidence, attention, alpha)
    return mean_or_nan(of_tokens)


def rauq_tokens(confidence: ArrayLike, attention: ArrayLike, alpha: float = 0.2) -> FloatArray:
    """What `rauq` is the mean of: ``-log c_t`` of each token, in the layer with the largest mean.

    Arguments and errors are those of `rauq`.

    Returns:
        Nats, shape ``(tokens,)``, higher meaning less certain.

    >>> rauq_tokens([0.5, 0.8], [[[0.25], [0.5]]], alpha=0.2).round(6).tolist()
    [0.693147, 1.021651]
    """
    values = as_floats("confidence", confidence, ndim=1)
    weights = as_unit_interval("attention", attention, ndim=3)
    if not 0 <= alpha <= 1:
        raise UQHarnessError(f"alpha is {alpha!r}, but must be from 0 to 1")
    if (values < -_SLACK).any():
        raise UQHarnessError(f"confidence holds {np.nanmin(values):g}, but must be 0 or more")
    if not values.size:
        return np.empty(0)
    if values.size > 1 and (not weights.size or weights.shape[-1] != values.size - 1):
        raise UQHarnessError(
            f"attention has shape {weights.shape}, but must hold a weight for each of the {values.size - 1} tokens "
            "before the last, of one head in one layer at least"
        )
    with np.errstate(divide="ignore", invalid="ignore"):  # log 0; nan among the arguments
        logs, own, inherited = np.log(np.maximum(values, 0)), np.log(alpha), np.log1p(-alpha)
        if values.size == 1:
            return np.asarray(-logs, dtype=np.float64)
        heads = weights.mean(-1).argmax(-1)
        # tokens first, and all that does not depend on the token before outside the loop: answers are short and many
        handed_on = inherited + np.log(weights[np.arange(len(weights)), heads].T)
        of_layers = np.empty((len(logs), len(weights)))
        of_layers[0] = logs[0]
        for at, log in enumerate((own + logs[1:]).tolist()):
            np.logaddexp(log, handed_on[at] + of_layers[at], out=of_layers[at + 1])
        surprise: FloatArray = -of_layers[:, of_layers.sum(axis=0).argmin()]
    return surprise


def attention_score(self_attention: ArrayLike) -> float:
    """LLM-Check's attention score of one layer: ``-mean log a_tt`` over heads and tokens.

    Args:
        self_attention: The weight that each token gives to itself, ``(heads, tokens)``.

    Returns:
        0 or more; ``nan`` without tokens.

    Raises:
        UQHarnessError: The argument is not two-dimensional, or a weight is outside [0, 1].

    Source:
        Sriramanan et al. 2024, LLM-Check (NeurIPS 2024); the mean over tokens in place of a sum.

    >>> round(attention_score([[0.5, 0.25], [1.0, 0.5]]), 6)
    0.693147
    """
    weights = as_unit_interval("self_attention", self_attention, ndim=2)
    with np.errstate(divide="ignore"):
        return mean_or_nan(-np.log(weights))


def csl(token_logprobs: ArrayLike, attention: ArrayLike) -> float:
    """CSL: negative log-likelihood of the tokens, weighted by what a grading prompt's last token attends to.

    Args:
        token_logprobs: Log-probabilities of the answer's tokens, ``(tokens,)``, in nats.
        attention: Weights that the last token of a prompt which asks whether the answer is right gives to the answer's
            tokens, ``(heads, tokens)``; their means over heads are normalised.

    Returns:
        ``-Σ_t w_t log p_t`` in nats, 0 or more; ``nan`` for an answer without tokens or without weights above 0.

    Raises:
        UQHarnessError: Shapes do not fit, a log-probability is above 0, or a weight outside [0, 1].

    Source:
        Lin et al. 2024, arXiv 2406.01806.

    >>> csl([-1.0, -3.0], [[0.25, 0.125], [0.25, 0.375]])
    2.0
    """
    logprobs = as_logprobs("token_logprobs", token_logprobs)
    heads = as_unit_interval("attention", attention, ndim=2)
    if heads.size and heads.shape[-1] != len(logprobs):
        raise UQHarnessError(
            f"attention has shape {heads.shape}, but must hold a weight for each of the {len(logprobs)} tokens"
        )
    total = float(heads.mean(0).sum()) if heads.size else 0.0
    if not logprobs.size or total == 0:
        return float("nan")
    weights = heads.mean(0) / total
    counted: FloatArray = np.where(weights == 0, 0.0, logprobs)  # a token without weight counts nowhere, also at p = 0
    return float(-(weights * counted).sum())
