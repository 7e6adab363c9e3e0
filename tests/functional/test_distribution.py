"""Scores of whole distributions: limits, invariances, and what is undefined or refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from uq_harness import functional as f
from uq_harness.errors import UQHarnessError
from uq_harness.functional.statistics import DistributionSums, DominantMass

logits = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=20), elements=st.floats(-30, 30))
SCORES = {
    "self_certainty": f.self_certainty,
    "probability_margin": f.probability_margin,
    "boosted_probability": lambda scores: f.boosted_probability(scores, np.argmax(scores, 1) if len(scores) else []),
    "top_k_entropy": lambda scores: f.top_k_entropy(scores, top_k=2),
    "renyi_divergence": f.renyi_divergence,
    "fisher_rao": f.fisher_rao,
}
FLAT = {
    "self_certainty": 0,
    "probability_margin": 1,
    "boosted_probability": 0.9,
    "top_k_entropy": 1,
    "renyi_divergence": 0,
    "fisher_rao": 0,
}


@pytest.mark.parametrize("name", SCORES)
class TestEach:
    def test_without_tokens_is_undefined(self, name: str) -> None:
        assert math.isnan(SCORES[name]([]))

    def test_nan_passes_through(self, name: str) -> None:
        assert math.isnan(SCORES[name]([[1.0, 0.0], [math.nan, 0.0]]))

    def test_a_flat_distribution_is_the_most_uncertain(self, name: str) -> None:
        flat = SCORES[name](np.zeros((2, 10)))
        assert flat == pytest.approx(FLAT[name], abs=1e-7)
        assert SCORES[name]([[5.0, *np.zeros(9)]]) < flat

    def test_a_sharper_distribution_is_more_certain(self, name: str) -> None:
        scores = [SCORES[name]([[sharp, 0.0, -1.0, -2.0]]) for sharp in (1.0, 3.0, 9.0)]
        assert scores == sorted(scores, reverse=True)

    def test_logits_and_log_probabilities_give_the_same(self, name: str) -> None:
        scores = np.random.default_rng(0).normal(size=(5, 30)) * 4
        logprobs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        assert SCORES[name](logprobs) == pytest.approx(SCORES[name](scores), abs=1e-12)

    @given(scores=logits)
    def test_the_order_of_the_vocabulary_and_of_the_tokens_does_not_matter(self, name: str, scores: np.ndarray) -> None:
        assert SCORES[name](scores[::-1, ::-1]) == pytest.approx(SCORES[name](scores), abs=1e-9)

    def test_a_token_that_cannot_be_makes_no_nan(self, name: str) -> None:
        found = SCORES[name]([[0.0, -math.inf, -math.inf]])
        assert found == (-math.inf if name == "self_certainty" else pytest.approx(found, nan_ok=False))


def test_dominant_tokens_are_those_up_to_the_last_gap() -> None:
    """Gaps of .3 behind the first (.5) and .1 behind the third (.15): three tokens are dominant."""
    p = np.array([0.5, 0.16, 0.15, 0.05, 0.05, 0.05, 0.04])
    boosted = [1 - f.boosted_probability([np.log(p)], [token]) for token in range(len(p))]
    np.testing.assert_allclose(boosted, [0.81, 0.81, 0.81, 0.05, 0.05, 0.05, 0.04])


def test_a_gap_behind_the_known_tokens_leaves_the_number_unknown() -> None:
    """What an engine tells of a distribution may end before the last gap."""
    near, far = np.log([[0.5, 0.2, 0.1]]), np.log([[0.99, 0.006, 0.002]])
    for listed, expected in ((near, math.nan), (far, 0.99)):
        found = DominantMass().of(DistributionSums(chosen=listed[:, 0], likeliest=listed))
        np.testing.assert_allclose(found, [expected])


def test_what_is_refused() -> None:
    rows = [[0.0, 1.0], [1.0, 0.0]]
    for call, message in (
        (lambda: f.self_certainty([1.0, 2.0]), r"logits has shape \(2,\), but must have 2 dimension"),
        (lambda: f.boosted_probability(rows, [0]), "must have the same length"),
        (lambda: f.boosted_probability(rows, [0, 2]), "token_ids holds 2, but logits has 2 tokens"),
        (lambda: f.top_k_entropy(rows, top_k=3), "the 3 likeliest tokens are read, but logits has 2"),
        (lambda: f.top_k_entropy(rows, top_k=1), "top_k is 1, but must be 2 or more"),
        (lambda: f.top_k_entropy(rows, top_k=2, reduce="sum"), "reduce is 'sum', but must be 'mean' or 'max'"),
        (lambda: f.renyi_divergence(rows, order=1), "order is 1"),
        (lambda: f.renyi_divergence(rows, order=math.inf), "order is inf"),
        (lambda: f.renyi_divergence(rows, order=0), "order is 0, but must be above 0"),
        (lambda: f.fisher_rao(rows, temperature=0), "temperature is 0, but must be above 0"),
    ):
        with pytest.raises(UQHarnessError, match=message):
            call()
