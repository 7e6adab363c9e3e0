"""Readings of NLI probabilities, which evidence holds in the order entailment, neutral, contradiction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uq_harness import functional
from uq_harness.evidence import CONTRADICTION, ENTAILMENT, NEUTRAL
from uq_harness.functional import FloatArray


def clusters_of_meaning(probabilities: FloatArray, *, strict: bool) -> NDArray[np.int64] | None:
    """Clusters of answers that mean the same, the likeliest label of each pair being its label.

    Args:
        probabilities: ``[n, n, 3]`` (premise, hypothesis); an answer's pair with itself is not read.
        strict: See `functional.cluster_by_entailment`.

    Returns:
        Cluster ids, shape ``[n]``; ``None`` where a pair has no probabilities (``nan``), and so no label.
    """
    pairs = ~np.eye(len(probabilities), dtype=bool)
    if np.isnan(probabilities[pairs]).any():
        return None
    return functional.cluster_by_entailment(CONTRADICTION - probabilities.argmax(axis=-1), strict=strict)


def likeliest_labels(probabilities: FloatArray) -> FloatArray:
    """The likeliest label of each pair as `functional` has it: 0 contradiction, 1 neutral, 2 entailment.

    Args:
        probabilities: ``[..., 3]``.

    Returns:
        Shape ``[...]``; ``nan`` where a pair has no probabilities.
    """
    labels = CONTRADICTION - probabilities.argmax(axis=-1).astype(np.float64)
    return np.where(np.isnan(probabilities).any(axis=-1), np.nan, labels)


def mutual_entailment(probabilities: FloatArray) -> FloatArray:
    """Mean of both directions' ``P(entail)``.

    Args:
        probabilities: ``[n, 2, 3]``, both directions of each pair.

    Returns:
        Shape ``[n]``.
    """
    return np.asarray(probabilities[..., ENTAILMENT].mean(axis=-1), dtype=np.float64)


def distance_of_meaning(probabilities: FloatArray) -> FloatArray:
    """Mean of both directions' ``P(contradict) + P(neutral) / 2``.

    Args:
        probabilities: ``[n, 2, 3]``, both directions of each pair.

    Returns:
        Shape ``[n]``.
    """
    distance = probabilities[..., CONTRADICTION] + probabilities[..., NEUTRAL] / 2
    return np.asarray(distance.mean(axis=-1), dtype=np.float64)


def mutual_support(probabilities: FloatArray, *, expected: bool) -> FloatArray:
    """Both directions' support, added: 1 for entailment, ½ for neutral, 0 for contradiction.

    Args:
        probabilities: ``[n, n, 3]`` (premise, hypothesis).
        expected: Whether the expectation over the labels is meant; otherwise it is the likeliest label's.

    Returns:
        Shape ``[n, n]``, symmetric, 0 to 2; ``nan`` where a pair has no probabilities.
    """
    if expected:
        support = probabilities[..., ENTAILMENT] + probabilities[..., NEUTRAL] / 2
    else:
        support = likeliest_labels(probabilities) / 2
    return np.asarray(support + support.T, dtype=np.float64)
