"""Methods without evidence of their own: what each reads of the answer, its samples and NLI."""

import math
from typing import Any

import numpy as np
import pytest

from tests.methods.sampled import ANSWER, nli, samples, score
from uq_harness import functional
from uq_harness.evidence import (
    Answer,
    AnswerEntailment,
    AnswerLogProbs,
    Evidence,
    PairwiseEntailment,
    SampleLogProbs,
    Samples,
)
from uq_harness.methods import build_methods, scores

TEN = Samples(10, 1.0)
# entailment one way, neutral back; contradiction; and equal texts that the network calls neutral
ONE_WAY = nli([[1.0, 0.6], [0.1, 1.0]], [[0.0, 0.3], [0.7, 0.0]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("perplexity", 0.375), ("max_token_nll", 0.5), ("mean_token_entropy", 0.75), ("max_token_entropy", 1.0)],
)
def test_scores_of_the_greedy_answer(name: str, expected: float) -> None:
    (method,) = build_methods(name, {})
    assert method.score(Evidence("Which city?", ANSWER)) == expected
    empty = Answer("", (), np.zeros(0), np.zeros(0), complete=True)
    assert math.isnan(method.score(Evidence("Which city?", empty)))


def test_likelihoods_of_samples() -> None:
    drawn = samples([[-2.0, -2.0], [-1.0]])
    assert score("predictive_entropy", samples=drawn) == 2.5
    answer = math.exp(-0.375)  # the greedy answer counts too
    expected = 1 - (answer + math.exp(-2) + math.exp(-1)) / 3
    assert score("monte_carlo_probability", samples=drawn) == pytest.approx(expected)
    assert math.isnan(score("predictive_entropy", samples=samples([[-1.0], []])))


def test_texts_of_samples() -> None:
    drawn = samples(texts=["Paris", "Paris", "paris", "in Paris"])
    assert score("exact_match_rate", samples=drawn) == 0.5
    pairs = [0, 0, 1 / 3, 0, 1 / 3, 1 / 3]
    assert score("lexical_similarity", samples=drawn) == pytest.approx(np.mean(pairs))


def test_nli_with_the_answer() -> None:
    found = nli([[0.5, 0.3], [1.0, 0.2]], [[0.25, 0.2], [0.0, 0.8]])
    assert score("noncontradiction", entailment=found) == pytest.approx((0.25 + 0.5 + 0 + 0) / 4)
    assert score("answer_entailment", entailment=found) == pytest.approx(1 - 2.0 / 4)


def test_nli_between_samples() -> None:
    assert score("luq", entailment=ONE_WAY) == pytest.approx(1 - (0.6 / 0.7 + 0.1 / 0.3) / 2)
    assert score("num_semantic_sets", entailment=ONE_WAY) == 2  # back, contradiction is likelier
    assert score("label_prob", entailment=ONE_WAY) == 0  # one meaning, relaxed
    assert score("label_prob", {"entailment": "strict"}, entailment=ONE_WAY) == 0.5


def test_kernel_weights_are_the_likeliest_labels_or_expectations() -> None:
    hard = functional.kernel_language_entropy([[2.0, 1.5], [1.5, 2.0]], 0.3)
    assert score("kernel_language_entropy", entailment=ONE_WAY) == pytest.approx(hard)
    soft = functional.kernel_language_entropy([[2.0, 1.2], [1.2, 2.0]], 0.7)
    options = {"kernel_soft": True, "kernel_time": 0.7}
    assert score("kernel_language_entropy", options, entailment=ONE_WAY) == pytest.approx(soft)


@pytest.mark.parametrize(
    ("graph", "weight"), [("entailment", 0.35), ("contradiction", 0.85), ("jaccard", 0.5)], ids=lambda given: str(given)
)
@pytest.mark.parametrize("name", ["eigenvalue_laplacian", "eccentricity", "degree"])
def test_the_graph_is_chosen_by_an_option(name: str, graph: str, weight: float) -> None:
    found = {"samples": samples(texts=["in Paris", "Paris"]), "entailment": ONE_WAY}
    expected = getattr(functional, name)([[1.0, weight], [weight, 1.0]])
    assert score(name, {"graph": graph}, **found) == pytest.approx(expected)


def test_word_overlap_asks_no_nli_model() -> None:
    for method in build_methods("degree+eccentricity+eigenvalue_laplacian", {"graph": "jaccard"}):
        assert method.needs() == (TEN,)


@pytest.mark.parametrize(("name", "expected"), [("eigenvalue_laplacian", 1.0), ("eccentricity", 0.0)])
def test_equal_texts_are_joined_whatever_the_network_says(name: str, expected: float) -> None:
    drawn = samples(texts=["Paris", "Paris"])
    assert score(name, samples=drawn, entailment=nli([[0.0, 0.1], [0.1, 0.0]])) == pytest.approx(expected)


def test_the_threshold_of_eccentricity() -> None:
    """Two samples with similarity 0.35: the eigenvalues are 0 and 2 · 0.35 / 1.35 = 0.52."""
    found = {"samples": samples(texts=["in Paris", "Paris"]), "entailment": ONE_WAY}
    assert score("eccentricity", **found) == pytest.approx(1)
    assert score("eccentricity", {"eccentricity_threshold": 0.5}, **found) == pytest.approx(0)


@pytest.mark.parametrize(
    "name",
    [
        *("eigenvalue_laplacian", "eccentricity", "degree", "luq", "num_semantic_sets", "kernel_language_entropy"),
        *("label_prob", "noncontradiction", "answer_entailment"),
        *("semantic_alphabet_size", "coverage_adjusted_semantic_entropy"),
    ],
)
def test_a_pair_without_probabilities_leaves_the_score_undefined(name: str) -> None:
    gone = np.full((2, 2, 3), np.nan)
    assert math.isnan(score(name, samples=samples(texts=["a", "b"]), entailment=gone))


def test_all_read_the_same_ten_samples_as_the_semantic_entropies() -> None:
    names = (
        "eigenvalue_laplacian+eccentricity+luq+kernel_language_entropy+lexical_similarity+noncontradiction+"
        "answer_entailment+num_semantic_sets+predictive_entropy+monte_carlo_probability+label_prob+exact_match_rate+"
        "semantic_alphabet_size+coverage_adjusted_semantic_entropy"
    )
    options: dict[str, Any] = {"entropy_samples": 3, "entropy_temperature": 0.8, "entropy_top_p": 0.9}
    for method in build_methods(names, options):
        drawn = Samples(3, 0.8, 0.9)
        allowed = (drawn, AnswerLogProbs(), SampleLogProbs(drawn), PairwiseEntailment(drawn), AnswerEntailment(drawn))
        assert set(method.needs()) <= set(allowed)
        assert drawn in method.needs()


def test_an_undefined_draw_leaves_all_undefined() -> None:
    found = Evidence("Which city?", ANSWER, {TEN: samples(texts=["a", "b"])}, undefined=frozenset({TEN}))
    undefined = scores(build_methods("exact_match_rate+lexical_similarity", {}), found)
    assert all(map(math.isnan, undefined.values()))
