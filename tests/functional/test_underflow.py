"""Answers so long that their likelihood is zero in float64 still get the right score."""

import math

import numpy as np
import pytest

from uq_harness import functional as f

LONG = [-50.0] * 1000  # e^-50000
pytestmark = pytest.mark.filterwarnings("error")


def test_the_likelihood_underflows():
    assert math.exp(sum(LONG)) == 0


def test_likelihood_scores():
    assert f.g_nll(LONG) == 50_000
    assert f.ln_pe([LONG, LONG]) == 50


def test_semantic_entropy_of_unlikely_tokens():
    hopeless = [[-1000.0] * 1000] * 4
    assert f.semantic_entropy(hopeless, [0, 0, 1, 1]) == pytest.approx(math.log(2))


def test_semantic_density_of_unlikely_tokens():
    assert f.semantic_density(["a", "b"], [-1000.0, -1000.0], [0.2, 0.4]) == pytest.approx(0.3)
    assert f.semantic_density(["a", "b"], [-1000.0, -2000.0], [0.2, 0.4]) == pytest.approx(0.2)


def test_sentence_sar_of_long_answers():
    alone = f.sentence_sar([LONG, LONG], np.eye(2))
    assert alone == 50_000
    alike = f.sentence_sar([LONG, LONG], np.ones((2, 2)))
    assert alike == pytest.approx(50_000 - math.log(1001))


def test_sar_of_unlikely_tokens():
    hopeless = [[-1000.0] * 1000] * 2
    relevances = [[0.5] * 1000] * 2
    assert f.sar(hopeless, relevances, np.ones((2, 2))) == pytest.approx(1000 - math.log(1001))


def test_merged_probabilities_of_long_answers():
    merged = f.merge_by_f1(["red", "blue", "green"], [-50_000.0, -50_000.0, -50_000.0 + math.log(2)])
    np.testing.assert_allclose(merged.probabilities, [0.25, 0.25, 0.5])


def test_mutual_information_of_tiny_probabilities():
    tiny = 1e-200
    score = f.mutual_information([1.0, tiny], [[1.0, 0.0], [1.0, tiny]])
    assert score == pytest.approx(0, abs=1e-150)
    scaled = f.mutual_information([tiny, tiny], [[tiny, 0.0], [0.0, tiny]])
    assert scaled == pytest.approx(math.log(2))


def test_an_impossible_sample_weighs_nothing():
    impossible = [-math.inf, -1.0]
    assert f.semantic_entropy([[-1.0], impossible], [0, 1]) == 0
    assert f.semantic_density(["a", "b"], [-1.0, -math.inf], [0.2, 0.9]) == 0.2
    assert f.merge_by_f1(["a", "b"], [-1.0, -math.inf]).probabilities.tolist() == [1.0, 0.0]
    assert f.token_sar([impossible], [[0.0, 1.0]]) == 1
    assert f.ln_pe([impossible]) == math.inf
