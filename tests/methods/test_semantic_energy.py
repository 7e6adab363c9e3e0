"""Semantic Energy on samples written down by hand, and its limits."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.methods.sampled import evidence, same_cluster, samples
from uq_harness import functional
from uq_harness.errors import UQHarnessError
from uq_harness.methods import build_methods


def score(logits: list[list[float]], clusters: list[int]) -> float:
    (method,) = build_methods("semantic_energy", {})
    drawn = samples([[-1.0] * len(one) for one in logits])
    drawn = tuple(replace(one, logits=np.array(own)) for one, own in zip(drawn, logits, strict=True))
    return method.score(evidence(method, samples=drawn, entailment=same_cluster(clusters)))


def test_the_strongest_meaning_counts_and_not_the_most_frequent() -> None:
    assert score([[10.0, 12.0], [20.0], [40.0]], [0, 0, 1]) == pytest.approx(-40 / 3)
    assert score([[10.0, 12.0], [30.0], [40.0]], [0, 0, 1]) == pytest.approx(-41 / 3)


def test_samples_that_agree_are_still_ranked() -> None:
    assert score([[10.0], [12.0]], [0, 0]) > score([[20.0], [22.0]], [0, 0])


def test_a_sample_without_tokens_or_no_sample_is_undefined() -> None:
    assert math.isnan(score([[10.0], []], [0, 1]))
    assert math.isnan(functional.semantic_energy([], []))
    assert math.isnan(functional.semantic_energy([[math.nan], [1.0]], [0, 0]))


def test_the_order_and_the_numbers_of_clusters_do_not_matter() -> None:
    logits = [[3.0], [5.0, 6.0], [9.0]]
    assert functional.semantic_energy(logits[::-1], [7, 2, 2]) == functional.semantic_energy(logits, [0, 0, 1])
    with pytest.raises(UQHarnessError, match="must have the same length"):
        functional.semantic_energy(logits, [0, 0])
