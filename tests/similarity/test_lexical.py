"""Comparisons without a model."""

import numpy as np
import pytest

from uq_harness.evidence import CONTRADICTION, ENTAILMENT
from uq_harness.similarity.build import build_nli, build_similarity

Q = "Who wrote it?"


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        ("Jane Austen", "jane austen.", True),
        ("the Beatles", "Beatles", True),
        ("", "...", True),
        ("Jane Austen", "Austen", False),
        ("", "Austen", False),
    ],
)
def test_texts_entail_each_other_if_equal_after_normalisation_and_contradict_otherwise(first, second, equal) -> None:
    for pair in ((f"{Q} {first}", f"{Q} {second}"), (f"{Q} {second}", f"{Q} {first}")):
        found = build_nli("lexical").probabilities([pair])[0]
        assert found[ENTAILMENT if equal else CONTRADICTION] == 1
        assert found.sum() == 1


def test_similarity_is_token_f1_of_the_texts() -> None:
    found = build_similarity("lexical").scores([("a red dog", "the dog"), ("", ""), ("dog", ""), ("dog", "cat")])
    assert found == pytest.approx([2 / 3, 1, 0, 0])


@pytest.mark.parametrize("build", [build_nli, build_similarity])
def test_it_needs_no_model_and_counts_distinct_pairs(build) -> None:
    service = build("lexical", device="cuda:99")
    service.prepare()
    method = getattr(service, "probabilities", None) or service.scores
    assert np.shape(method([("a", "b"), ("a", "b"), ("b", "a")]))[0] == 3
    assert method([]).size == 0
    assert (service.pairs_scored, service.pairs_cut) == (2, 0)
