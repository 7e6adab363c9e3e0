"""The scores: invariants and known values."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.functional.strategies import logprobs, matrices, samples_with_clusters, similarity_matrix, token_lists
from uq_harness import functional as f
from uq_harness.errors import UQHarnessError

probabilities = st.floats(0, 1)


@given(st.lists(logprobs, min_size=1))
def test_g_nll_of_a_concatenation_adds(tokens):
    assert f.g_nll(tokens + tokens) == pytest.approx(2 * f.g_nll(tokens))


@given(token_lists)
def test_ln_pe_ignores_samples_order_and_repetition(samples):
    score = f.ln_pe(samples)
    assert score >= 0
    assert f.ln_pe(samples[::-1]) == pytest.approx(score)
    assert f.ln_pe(samples * 2) == pytest.approx(score)


@given(token_lists)
def test_equal_relevances_reduce_token_sar_to_ln_pe(samples):
    uniform = [[0.3] * len(tokens) for tokens in samples]
    zero = [[0.0] * len(tokens) for tokens in samples]
    assert f.token_sar(samples, uniform) == pytest.approx(f.ln_pe(samples))
    assert f.token_sar(samples, zero) == pytest.approx(f.ln_pe(samples))


@given(token_lists, st.integers(0, 99))
def test_sentence_sar_is_its_definition(samples, seed):
    similarity = similarity_matrix(len(samples), seed)
    p = np.exp([sum(tokens) for tokens in samples])
    shifted = p + 1000 * ((similarity - np.eye(len(p))) @ p)
    if (shifted > 1e-280).all():
        assert f.sentence_sar(samples, similarity) == pytest.approx(np.mean(-np.log(shifted)))


@given(token_lists)
def test_unlike_samples_shift_nothing(samples):
    alone = np.eye(len(samples))
    uniform = [[1.0] * len(tokens) for tokens in samples]
    assert f.sar(samples, uniform, alone) == pytest.approx(f.token_sar(samples, uniform))
    assert f.sentence_sar(samples, alone) == pytest.approx(np.mean([f.g_nll(tokens) for tokens in samples]))


@given(token_lists, st.integers(0, 99))
def test_sar_does_not_read_the_diagonal(samples, seed):
    similarity = similarity_matrix(len(samples), seed)
    without = similarity - np.eye(len(samples))
    assert f.sentence_sar(samples, similarity) == f.sentence_sar(samples, without)


@given(samples_with_clusters())
def test_semantic_entropy_is_bounded_and_ignores_order_and_numbering(drawn):
    samples, clusters = drawn
    score = f.semantic_entropy(samples, clusters)
    assert 0 <= score <= math.log(len(set(clusters))) + 1e-12
    assert f.semantic_entropy(samples[::-1], clusters[::-1]) == pytest.approx(score, abs=1e-12)
    assert f.semantic_entropy(samples, [7 - 3 * cluster for cluster in clusters]) == pytest.approx(score, abs=1e-12)


@given(samples_with_clusters(), st.floats(-900, 0))
def test_a_shift_of_all_likelihoods_leaves_semantic_entropy(drawn, shift):
    samples, clusters = drawn
    shifted = [[logprob + shift for logprob in tokens] for tokens in samples]
    assert f.semantic_entropy(shifted, clusters) == pytest.approx(f.semantic_entropy(samples, clusters), abs=1e-9)


@given(samples_with_clusters())
def test_equal_likelihoods_reduce_semantic_entropy_to_the_discrete_one(drawn):
    samples, clusters = drawn
    equal = [[-0.7]] * len(samples)
    assert f.semantic_entropy(equal, clusters) == pytest.approx(f.discrete_semantic_entropy(clusters), abs=1e-12)


@given(matrices(st.integers(0, 2)))
def test_strict_clusters_of_symmetric_labels_are_entailment_components_of_their_opener(labels):
    clusters = f.cluster_by_entailment(labels, strict=True)
    first = [int(np.flatnonzero(clusters == cluster)[0]) for cluster in clusters]
    assert all(labels[i][o] == labels[o][i] == 2 for i, o in enumerate(first) if i != o)


@given(matrices(st.integers(0, 2)))
def test_cluster_ids_are_numbered_by_first_appearance(labels):
    clusters = f.cluster_by_entailment(labels).tolist()
    assert list(dict.fromkeys(clusters)) == list(range(max(clusters) + 1))


def test_a_cluster_takes_samples_that_an_earlier_one_had():
    labels = np.ones((3, 3), dtype=int)
    for i, j in ((0, 2), (1, 2)):
        labels[i, j] = labels[j, i] = 2
    assert f.cluster_by_entailment(labels).tolist() == [0, 1, 1]


@given(matrices(probabilities))
def test_degree_is_bounded(weights):
    np.fill_diagonal(weights := np.array(weights), 1.0)
    assert -1e-12 <= f.degree(weights) <= 1 - 1 / len(weights) + 1e-12


@given(st.lists(probabilities, min_size=1), probabilities)
def test_self_consistency_counts(entailment, threshold):
    disagree = sum(not probability > threshold for probability in entailment)
    assert f.self_consistency(entailment, threshold) == pytest.approx(disagree / len(entailment))


@given(st.integers(1, 8), st.integers(2, 30), st.integers(0, 99), st.floats(-1e3, 1e3))
def test_eigenscore_is_its_definition_and_ignores_a_shift_of_a_sample(n, d, seed, shift):
    embeddings = np.random.default_rng(seed).normal(size=(n, d))
    definition = np.linalg.slogdet(np.atleast_2d(np.cov(embeddings)) + 1e-3 * np.eye(n))[1] / n
    score = f.eigenscore(embeddings)
    assert score == pytest.approx(definition, abs=1e-9)
    embeddings[0] += shift
    assert f.eigenscore(embeddings) == pytest.approx(score, abs=1e-6)


def test_eigenscore_of_equal_samples_of_any_size_is_finite():
    embeddings = np.tile(1e6 * np.random.default_rng(0).normal(size=100), (10, 1))
    assert f.eigenscore(embeddings) == pytest.approx((9 * math.log(1e-3) + math.log(10e12)) / 10, abs=0.1)


@given(st.lists(st.tuples(logprobs, probabilities), min_size=1, max_size=6))
def test_semantic_density_lies_between_the_distances(answers):
    weights, distances = zip(*answers, strict=True)
    texts = [f"answer {i}" for i in range(len(answers))]
    score = f.semantic_density(texts, weights, distances)
    assert min(distances) - 1e-12 <= score <= max(distances) + 1e-12
    repeated = f.semantic_density(texts * 3, weights * 3, distances * 3)
    assert repeated == pytest.approx(score, abs=1e-12)


def test_repeated_texts_weigh_once_in_semantic_density():
    once = f.semantic_density(["Paris", "Lyon"], [-0.1, -1.0], [0.0, 1.0])
    assert f.semantic_density(["Paris", "Paris", "Lyon"], [-0.1, -0.1, -1.0], [0.0, 0.0, 1.0]) == once


@given(st.integers(1, 6), st.integers(0, 99))
def test_mutual_information_is_bounded_and_ignores_scales(n, seed):
    random = np.random.default_rng(seed)
    first, second = random.random(n), random.random((n, n))
    score = f.mutual_information(first, second)
    assert 0 <= score <= math.log(n) + 1e-12
    assert f.mutual_information(first * 9, second * random.random((n, 1))) == pytest.approx(score, abs=1e-12)


@given(st.integers(2, 6), st.integers(0, 99))
def test_an_answer_that_changes_nothing_informs_of_nothing(n, seed):
    random = np.random.default_rng(seed)
    assert f.mutual_information(random.random(n), np.tile(random.random(n), (n, 1))) == pytest.approx(0, abs=1e-12)


@given(st.integers(2, 6), st.integers(0, 99), st.integers(-6, 0), st.sampled_from([1, 10, 30]))
def test_tiny_mutual_information_keeps_its_digits(n, seed, change, spread):
    """Scores of confident answers are far below the rounding of terms near 1, and their order must not hang on it."""
    random = np.random.default_rng(seed)
    first = np.exp(random.normal(0, spread, n))
    second = np.exp(random.normal(0, spread, n)) * np.exp(random.normal(0, 10.0**change, (n, n)))
    assert f.mutual_information(first, second) == pytest.approx(_exact_information(first, second), rel=1e-5, abs=1e-29)


@given(st.integers(2, 4), st.integers(0, 99), st.sampled_from([(1e-3, 1e-3), (0.1, 0.0), (0.0, 0.2), (1e-9, 1e-9)]))
def test_mutual_information_with_gammas(n, seed, gammas):
    random = np.random.default_rng(seed)
    first, second = random.random(n), random.random((n, n))
    exact = _exact_information(first, second, *gammas)
    assert f.mutual_information(first, second, *gammas) == pytest.approx(exact, rel=1e-12, abs=1e-14)


def _exact_information(first, second, gamma1=0.0, gamma2=0.0):
    """The formula as it is written, with 90 digits."""
    with localcontext(prec=90):
        prior = [Decimal(float(p)) / sum(map(Decimal, first.tolist())) for p in first]
        given_first = [[Decimal(p) / sum(map(Decimal, row)) for p in row] for row in second.tolist()]
        answers = range(len(prior))
        marginal = [sum(prior[c] * given_first[c][b] for c in answers) for b in answers]
        return float(
            sum(
                prior[a]
                * given_first[a][b]
                * ((prior[a] * given_first[a][b] + Decimal(gamma1)) / (prior[a] * marginal[b] + Decimal(gamma2))).ln()
                for a in answers
                for b in answers
            )
        )


def test_only_the_likeliest_answers_are_kept():
    texts, logprobs = ["one", "two", "three", "two four", "five"], [-3.0, -2.0, -2.0, -2.0, -1.0]
    every = f.merge_by_f1(texts, logprobs)
    assert every.answers == ["one", "two", "three", "five"]
    kept = f.merge_by_f1(texts, logprobs, most=3)
    assert kept.answers == ["two", "three", "five"]  # "two" and "two four" are likelier together than "one"
    assert kept.probabilities == pytest.approx(every.probabilities[1:] / every.probabilities[1:].sum())
    tied = f.merge_by_f1(["a b", "c d", "e f"], [-1.0, -1.0, -1.0], most=2)
    assert tied.answers == ["a b", "c d"]
    for most in (4, 9, None):
        assert f.merge_by_f1(texts, logprobs, most=most).answers == every.answers
    assert np.isnan(f.merge_by_f1(texts, [np.nan, *logprobs[1:]], most=2).probabilities).all()
    with pytest.raises(UQHarnessError, match="most is 0, but at least 1 answer"):
        f.merge_by_f1(texts, logprobs, most=0)


def test_one_answer_has_no_mutual_information():
    assert f.mutual_information([1.0], [[0.3]]) == 0
    assert f.mutual_information([1.0], [[0.0]]) == 0
    assert f.mutual_information([1.0, 0.0], [[0.3, 0.1], [0.0, 0.0]]) == 0


@given(st.lists(st.tuples(st.sampled_from(["red car", "a red car", "the dog", "blue", ""]), logprobs), min_size=1))
def test_merged_probabilities_are_distinct_answers_shares(samples):
    texts, weights = zip(*samples, strict=True)
    merged = f.merge_by_f1(texts, weights)
    assert merged.probabilities.sum() == pytest.approx(1)
    assert len(set(merged.answers)) == len(merged.answers) == len(merged.probabilities)
    doubled = f.merge_by_f1(texts * 2, weights * 2)
    assert doubled.answers == merged.answers
    np.testing.assert_array_equal(doubled.probabilities, merged.probabilities)


def test_an_answer_joins_the_first_cluster_that_it_resembles():
    merged = f.merge_by_f1(["red car", "blue dog", "blue dog red"], [-1.0, -1.0, -1.0])
    assert merged.answers == ["red car", "blue dog"]
    np.testing.assert_allclose(merged.probabilities, [2 / 3, 1 / 3])


@given(st.floats(0, 5), st.floats(0, 5), st.floats(0, 60))
def test_hybridgrad_lies_between_its_parts(semgrad, paragrad, entropy):
    score = f.hybridgrad(semgrad, paragrad, entropy)
    assert min(semgrad, paragrad) - 1e-12 <= score <= max(semgrad, paragrad) + 1e-12
    assert f.hybridgrad(semgrad, paragrad, 0.0) == paragrad


def test_semantic_preservation_score_ignores_lengths_and_takes_ragged_paraphrases():
    random = np.random.default_rng(0)
    queries = [random.normal(size=(rows, 8)) for rows in (2, 5, 3)]
    longer = [7.0 * states for states in queries]
    assert f.semantic_preservation_score(longer) == pytest.approx(f.semantic_preservation_score(queries))
