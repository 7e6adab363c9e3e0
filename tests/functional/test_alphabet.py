"""Semantic alphabet size and the entropy corrected for coverage: numbers made by hand, edges, invariants."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uq_harness import functional
from uq_harness.errors import UQHarnessError
from uq_harness.functional import coverage_adjusted_semantic_entropy, semantic_alphabet_size

NAN = math.nan


def graph(n: int, weight: float = 0.0) -> np.ndarray:
    """All pairs with one weight: the normalised Laplacian has 0 once, else ``n·weight / (1 + (n - 1)·weight)``."""
    return np.where(np.eye(n) == 1, 1.0, weight)


def same(ids: list[int]) -> np.ndarray:
    return (np.array(ids)[:, None] == np.array(ids)).astype(float)


@pytest.mark.parametrize(
    ("ids", "similarity", "expected"),
    [
        ([], [[]], NAN),
        ([3], [[1.0]], 1.0),
        ([0, 0, 0], np.ones((3, 3)), 1.0),
        ([0, 0, 0], graph(3), 3.0),  # one cluster, whose graph is three
        ([0, 0, 1, 2], same([0, 0, 1, 2]), 6.0),  # 3 · 4 / (4 - 2)
        ([5, -1, 5, 7], same([5, -1, 5, 7]), 6.0),  # any whole numbers
        ([0, 0, 1, 1], graph(4, 0.25), 1 + 3 * (0.75 / 1.75)),  # no singletons: 2 < the graph's
        ([0, 0, 1, 1], same([0, 0, 1, 1]), 2.0),
        ([0, 1, 2], graph(3, 0.5), 1 + 2 * 0.25),  # only singletons: the graph alone, here below their number
        ([0, 1, 2], np.eye(3), 3.0),
        ([0, 0, 1, 2, 3], same([0, 0, 1, 2, 3]), 10.0),  # most for 5: 4 · 5 / 2
        ([0, 0, 1], [[1, NAN, 0], [NAN, 1, 0], [0, 0, 1]], NAN),
        ([0, 1, 2], [[1, NAN, 0], [NAN, 1, 0], [0, 0, 1]], NAN),
    ],
)
def test_size(ids: list[int], similarity: list, expected: float) -> None:
    assert semantic_alphabet_size(ids, similarity) == pytest.approx(expected, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize(
    ("ids", "similarity", "expected"),
    [
        ([], [[]], NAN),
        ([3], [[1.0]], 0.0),
        ([0, 0, 0], np.ones((3, 3)), 0.0),
        # coverage 3/6: q = 1/4, 1/8, 1/8; the authors' example, 1.76
        (
            [0, 0, 1, 2],
            same([0, 0, 1, 2]),
            math.log(4) / 4 / (1 - 0.75**4) + 2 * math.log(8) / 8 / (1 - 0.875**4),
        ),
        # no singletons: coverage 1
        ([0, 0, 1, 1], same([0, 0, 1, 1]), math.log(2) / (1 - 0.5**4)),
        # one cluster where the graph sees three: coverage 1/3
        ([0, 0, 0], graph(3), math.log(3) / 3 / (1 - (2 / 3) ** 3)),
        # only singletons, the graph sees 1.5: coverage 2, q = 2/3 each
        ([0, 1, 2], graph(3, 0.5), 3 * (2 / 3) * math.log(1.5) / (1 - (1 / 3) ** 3)),
        ([0, 1, 2], np.eye(3), math.log(3) / (1 - (2 / 3) ** 3)),
        ([0, 1, 2], np.ones((3, 3)), 0.0),  # only singletons in a graph of one meaning
        ([0, 0, 1], [[1, NAN, 0], [NAN, 1, 0], [0, 0, 1]], NAN),
    ],
)
def test_entropy(ids: list[int], similarity: list, expected: float) -> None:
    found = coverage_adjusted_semantic_entropy(ids, similarity)
    assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("name", ["semantic_alphabet_size", "coverage_adjusted_semantic_entropy"])
@pytest.mark.parametrize(
    ("ids", "similarity", "message"),
    [
        ([0, 1], np.eye(3), "cluster_ids has 2, similarity has 3"),
        ([], np.eye(3), "cluster_ids has 0, similarity has 3"),
        ([0, 1], [[]], "cluster_ids has 2, similarity has 0"),
        ([0.5, 1], np.eye(2), "whole numbers"),
        ([0, 1], [[1.0, 0.5], [0.1, 1.0]], "is not symmetric"),
        ([0, 1], [[0.5, 0.0], [0.0, 1.0]], "on the diagonal"),
    ],
)
def test_wrong_input_is_an_error(name: str, ids: list, similarity: list, message: str) -> None:
    with pytest.raises(UQHarnessError, match=message):
        getattr(functional, name)(ids, similarity)


@settings(max_examples=80)
@given(ids=st.lists(st.integers(0, 4), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_neither_order_nor_names_of_clusters_count_and_the_corrected_entropy_is_not_below_the_plain_one(
    ids: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(size=(len(ids), len(ids)))
    weights = np.where(np.eye(len(ids)) == 1, 1.0, (weights + weights.T) / 2)
    order, names = rng.permutation(len(ids)), rng.permutation(5) - 2
    for score in (semantic_alphabet_size, coverage_adjusted_semantic_entropy):
        other = score(names[np.array(ids)[order]], weights[np.ix_(order, order)])
        assert other == pytest.approx(score(ids, weights), abs=1e-9)
    assert semantic_alphabet_size(ids, weights) >= functional.eigenvalue_laplacian(weights) - 1e-9
    if len(set(ids)) < len(ids):
        plain = functional.discrete_semantic_entropy(ids)
        assert coverage_adjusted_semantic_entropy(ids, same(ids)) >= plain - 1e-9
        assert semantic_alphabet_size(ids, weights) >= len(set(ids)) - 1e-9
