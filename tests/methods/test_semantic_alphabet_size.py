"""Semantic alphabet size and the entropy that it corrects: on NLI written down by hand, and of the demo model."""

import math
from collections import Counter

import numpy as np
import pytest

from tests.backends.served.demo import demo, prompts, stop
from tests.methods.sampled import nli, same_cluster, samples, score
from uq_harness.answering.answerer import Answerer
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.evidence import Samples
from uq_harness.functional.text import normalize_answer
from uq_harness.methods import build_methods
from uq_harness.similarity.build import build_nli, build_similarity

NAMES = ("semantic_alphabet_size", "coverage_adjusted_semantic_entropy")
# entailment one way, neutral back
ONE_WAY = nli([[1.0, 0.6], [0.1, 1.0]], [[0.0, 0.3], [0.7, 0.0]])


def test_clusters_and_graph_are_those_of_nli() -> None:
    found = {"samples": samples(texts=list("abcd")), "entailment": same_cluster([0, 0, 1, 2])}
    assert score("semantic_alphabet_size", **found) == 6
    assert score("coverage_adjusted_semantic_entropy", **found) == pytest.approx(1.7632, abs=1e-4)


def test_the_option_that_says_what_means_the_same() -> None:
    """Weight 0.35: the eigenvalues are 0 and 0.7 / 1.35. One cluster if relaxed, two singletons if strict."""
    found = {"samples": samples(texts=["in Paris", "Paris"]), "entailment": ONE_WAY}
    size = 2 - 0.7 / 1.35
    for options, share in (({}, 1 / size), ({"entailment": "strict"}, 1 / size)):
        assert score("semantic_alphabet_size", options, **found) == pytest.approx(size)
        clusters = 1 + bool(options)
        expected = -clusters * share * math.log(share) / (1 - (1 - share) ** 2)
        assert score("coverage_adjusted_semantic_entropy", options, **found) == pytest.approx(expected)


def test_equal_texts_are_one_meaning_in_the_graph_whatever_the_network_says() -> None:
    found = {"samples": samples(texts=["Paris", "Paris"]), "entailment": nli([[0.0, 0.1], [0.1, 0.0]])}
    assert score("semantic_alphabet_size", **found) == pytest.approx(1)


def by_hand(texts: list[str]) -> tuple[float, float]:
    """Both scores where texts of the same words mean the same, and all others nothing to do with them."""
    sizes = np.array(list(Counter(normalize_answer(text) for text in texts).values()))
    n, k, alone = len(texts), len(sizes), int((sizes == 1).sum())
    size = k if alone == n else k * n / (n - alone)
    return size, sum(-(q := k / size * one / n) * math.log(q) / (1 - (1 - q) ** n) for one in sizes)


@pytest.mark.parametrize("size", [1, 8, 64])
def test_of_the_demo_models_samples_in_any_batch(size: int) -> None:
    backend = TransformersBackend(*demo(), max_length=1024, pad_id=0)
    answerer = Answerer(backend, (build_nli("lexical"), build_similarity("lexical")), build_methods(NAMES, {}))
    sizes = set()
    for _, found in answerer.answer(prompts(12), stop(), size):
        expected = by_hand([sample.text for sample in found[Samples(10, 1.0)]])
        assert answerer.scores(found) == pytest.approx(dict(zip(NAMES, expected, strict=True)))
        sizes.add(expected[0])
    assert len(sizes) > 2
