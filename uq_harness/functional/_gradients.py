"""HybridGrad and the Semantic Preservation Score."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import FloatArray, as_floats


def hybridgrad(semgrad: float, paragrad: float, mean_entropy: float) -> float:
    """HybridGrad: ``α · paragrad + (1 - α) · semgrad`` with ``α = exp(-mean_entropy)``.

    Where the model is sure of every token (low entropy), the gradient of its parameters counts, else the gradient of
    the prompt's meaning.

    Args:
        semgrad: SemGrad's score, 0 or more.
        paragrad: ParaGrad's score, 0 or more.
        mean_entropy: Mean over the answer's steps of the next token's entropy, in nats.

    Returns:
        A number between the two scores; ``nan`` where one of the three is.

    Raises:
        UQHarnessError: The entropy is negative.

    Source:
        Li et al., arXiv 2605.04638.

    >>> round(hybridgrad(semgrad=2.0, paragrad=4.0, mean_entropy=0.6931471805599453), 6)
    3.0
    """
    if mean_entropy < 0:
        raise UQHarnessError(f"mean_entropy is {mean_entropy!r}, but an entropy is 0 or more")
    # expm1: 1 - exp(-H) would round to zero for the surest answers.
    return float(math.exp(-mean_entropy) * paragrad - math.expm1(-mean_entropy) * semgrad)


def semantic_preservation_score(embeddings: Sequence[ArrayLike]) -> float:
    """How much closer a position's hidden states are for paraphrases than for different queries.

    Mean over queries of the mean cosine within a query's paraphrases (the query among them), minus the mean cosine
    between different queries. High where hidden states follow the meaning and not the wording.

    Args:
        embeddings: For each of ``n`` queries its hidden state and then its paraphrases', shape
            ``(1 + paraphrases, features)``; the number of paraphrases may differ.

    Returns:
        -2 to 2, higher is better (not an uncertainty score); ``nan`` where a hidden state is zero or not finite.

    Raises:
        UQHarnessError: Fewer than two queries, a query without a paraphrase, or numbers of features that differ.

    Source:
        Li et al., arXiv 2605.04638.

    >>> semantic_preservation_score([[[1.0, 0.0], [2.0, 0.0]], [[0.0, 1.0], [0.0, 3.0]]])
    1.0
    """
    queries = [as_floats(f"embeddings[{index}]", states, ndim=2) for index, states in enumerate(embeddings)]
    if len(queries) < 2:
        raise UQHarnessError(f"embeddings has {len(queries)} query or queries, but the score compares at least 2")
    for index, states in enumerate(queries):
        if len(states) < 2:
            raise UQHarnessError(
                f"embeddings[{index}] has {len(states)} row(s), but must hold a query and a paraphrase"
            )
        if states.shape[1] != queries[0].shape[1]:
            raise UQHarnessError(
                f"embeddings[{index}] has {states.shape[1]} features, but embeddings[0] has {queries[0].shape[1]}"
            )
    within = np.mean([_mean_pairwise_cosine(states) for states in queries])
    between = _mean_pairwise_cosine(np.stack([states[0] for states in queries]))
    return float(within - between)


def _mean_pairwise_cosine(states: FloatArray) -> float:
    norms = np.linalg.norm(states, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        directions = states / norms
    cosines = directions @ directions.T
    return float(cosines[np.triu_indices(len(states), k=1)].mean())
