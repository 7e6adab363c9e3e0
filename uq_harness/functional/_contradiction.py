"""Scores of NLI probabilities between answers, contradiction among them: LUQ, numbers of semantic sets and others."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import FloatArray, as_unit_interval, check_square, mean_or_nan

_SLACK = 1e-6


def luq(contradiction: ArrayLike, entailment: ArrayLike) -> float:
    """LUQ: how little the samples support each other, ``1 - mean_{i≠j} E_ij / (E_ij + C_ij)``.

    Args:
        contradiction: ``C_ij``, probability that sample ``i`` contradicts ``j``, shape ``(samples, samples)``. The
            diagonal is not read.
        entailment: ``E_ij``, probability that sample ``i`` entails ``j``, likewise.

    Returns:
        0 (each entails each) to 1; a pair with ``E + C = 0`` counts as ½; ``nan`` where no pair can be compared, or one
        is ``nan``.

    Raises:
        UQHarnessError: A matrix is not square, they differ in size, or probabilities leave [0, 1] or sum to more
            than 1.

    Source:
        Zhang et al. 2024, arXiv 2403.20279.

    >>> luq([[0.0, 0.1], [0.3, 0.0]], [[1.0, 0.3], [0.1, 1.0]])
    0.5
    """
    against, towards = _pairs(contradiction, entailment)
    apart = ~np.eye(len(against), dtype=bool)
    total = against[apart] + towards[apart]
    share = np.divide(towards[apart], total, out=np.full(total.shape, 0.5), where=total != 0)
    return 1.0 - mean_or_nan(share)


def num_semantic_sets(contradiction: ArrayLike, entailment: ArrayLike) -> float:
    """Number of meanings among the samples: connected components where entailment outweighs contradiction both ways.

    Args:
        contradiction: ``C_ij``, as in `luq`.
        entailment: ``E_ij``, likewise.

    Returns:
        1 (all mean the same) to the number of samples; ``nan`` without samples or where a pair is ``nan``.

    Raises:
        UQHarnessError: As `luq`.

    Source:
        Lin et al. 2023, arXiv 2305.19187, section 4.2.

    >>> num_semantic_sets([[0.0, 0.1], [0.3, 0.0]], [[1.0, 0.3], [0.4, 1.0]])
    1.0
    """
    from scipy.sparse.csgraph import connected_components

    against, towards = _pairs(contradiction, entailment)
    apart = ~np.eye(len(against), dtype=bool)
    if not len(against) or np.isnan((against + towards)[apart]).any():
        return float("nan")
    supports = towards > against
    return float(connected_components(supports & supports.T, directed=False)[0])


def noncontradiction(contradiction: ArrayLike) -> float:
    """How far samples contradict the answer, ``mean_i (C(y, s_i) + C(s_i, y)) / 2``.

    Args:
        contradiction: Both directions' probability of contradiction between answer and sample, shape ``(samples, 2)``.

    Returns:
        0 to 1; ``nan`` without samples or where a probability is ``nan``.

    Raises:
        UQHarnessError: The shape is another, or a number leaves [0, 1].

    Source:
        Manakul et al. 2023, arXiv 2303.08896 (SelfCheckGPT with NLI); Chen and Mueller 2023, arXiv 2308.16175.

    >>> noncontradiction([[0.5, 0.25], [0.0, 0.25]])
    0.25
    """
    return mean_or_nan(_both_directions("contradiction", contradiction))


def answer_entailment(entailment: ArrayLike) -> float:
    """How far samples and the answer do not entail each other, ``1 - mean_i (E(y, s_i) + E(s_i, y)) / 2``.

    Args:
        entailment: Both directions' probability of entailment between answer and sample, shape ``(samples, 2)``.

    Returns:
        0 to 1; ``nan`` without samples or where a probability is ``nan``.

    Raises:
        UQHarnessError: The shape is another, or a number leaves [0, 1].

    Source:
        Chen and Mueller 2023, arXiv 2308.16175.

    >>> answer_entailment([[1.0, 1.0], [0.5, 0.0]])
    0.375
    """
    return 1.0 - mean_or_nan(_both_directions("entailment", entailment))


def _both_directions(name: str, values: ArrayLike) -> FloatArray:
    pairs = as_unit_interval(name, values, ndim=2)
    if pairs.size and pairs.shape[1] != 2:
        raise UQHarnessError(f"{name} has shape {pairs.shape}, but must have two columns, one for each direction")
    return pairs


def _pairs(contradiction: ArrayLike, entailment: ArrayLike) -> tuple[FloatArray, FloatArray]:
    against = as_unit_interval("contradiction", contradiction, ndim=2)
    towards = as_unit_interval("entailment", entailment, ndim=2)
    check_square("contradiction", against)
    check_square("entailment", towards, len(against))
    total = (against + towards)[~np.eye(len(against), dtype=bool)]
    if (total > 1 + _SLACK).any():
        raise UQHarnessError(
            f"contradiction and entailment of a pair sum to {total[total > 1 + _SLACK][0]:g}, but must not exceed 1"
        )
    return against, towards
