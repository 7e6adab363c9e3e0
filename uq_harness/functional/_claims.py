"""Claim-conditioned probability: uncertainty about what a token says, not about how it is said."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import FloatArray, as_floats, as_logprobs

_CONTRADICTS, _NEUTRAL, _ENTAILS = range(3)


def claim_conditioned_probability(logprobs: ArrayLike, labels: ArrayLike) -> float:
    """How improbable what an answer's tokens say is, against what contradicts it: ``-Σ_t log(E_t / (E_t + C_t))``.

    ``E_t`` is the probability of the token and of the alternatives that entail it, ``C_t`` that of those that
    contradict it. Of an alternative's two labels, equal ones are its relation; entailment against contradiction is
    neutral; else the one that is not neutral counts. Neutral alternatives count nowhere.

    Args:
        logprobs: Log-probabilities of the answer's token and its alternatives, the token's own first, in nats, shape
            ``(tokens, alternatives)``.
        labels: For each of them the label of token and alternative, one way and the other: 0 contradiction, 1 neutral,
            2 entailment; shape ``(tokens, alternatives, 2)``. Those of the token itself are not read.

    Returns:
        Nats, 0 or more; ``inf`` where all that says the same has probability 0 and some contradiction has not; ``nan``
        for an answer without tokens, or where a log-probability or a label is.

    Raises:
        UQHarnessError: Shapes do not fit, a label is none of the three, or a log-probability is above 0.

    Source:
        Fadeeva et al. 2024, arXiv 2403.04696, of whole answers.

    >>> import math
    >>> half, quarter = math.log(0.5), math.log(0.25)
    >>> round(claim_conditioned_probability([[half, quarter, quarter]], [[[2, 2], [0, 1], [1, 1]]]), 6)
    0.405465
    """
    values = as_floats("logprobs", logprobs, ndim=2)
    as_logprobs("logprobs", values.ravel())
    found = as_floats("labels", labels, ndim=3)
    if not values.size:
        return float("nan")
    if found.shape != (*values.shape, 2):
        raise UQHarnessError(
            f"labels has shape {found.shape}, but must be {(*values.shape, 2)}: two labels for each of logprobs"
        )
    relation = _relations(found)
    relation[:, 0] = _ENTAILS
    if np.isnan(values).any() or np.isnan(relation).any():
        return float("nan")
    same = _log_sum(np.where(relation == _ENTAILS, values, -np.inf))
    other = _log_sum(np.where(relation == _CONTRADICTS, values, -np.inf))
    # log(1 + C/E): exact where C/E is small, and 0 where nothing contradicts, whatever E
    with np.errstate(invalid="ignore"):
        terms = np.where(np.isneginf(other), 0.0, np.logaddexp(0.0, other - same))
    return float(terms.sum())


def _relations(labels: FloatArray) -> FloatArray:
    """What each alternative is to the token, from its labels both ways; ``nan`` where one of them is."""
    wrong = labels[~np.isnan(labels) & ~np.isin(labels, (_CONTRADICTS, _NEUTRAL, _ENTAILS))]
    if wrong.size:
        raise UQHarnessError(f"labels holds {wrong[0]:g}, but must be 0 contradiction, 1 neutral or 2 entailment")
    # around neutral they are -1, 0 and 1: opposite ones cancel, and a neutral one adds nothing
    return np.asarray(_NEUTRAL + np.sign((labels - _NEUTRAL).sum(axis=-1)), dtype=np.float64)


def _log_sum(values: FloatArray) -> FloatArray:
    """``log Σ exp`` of each row; ``-inf`` where all are."""
    return np.asarray(np.logaddexp.reduce(values, axis=1), dtype=np.float64)
