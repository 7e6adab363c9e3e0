"""Needs in, evidence out."""

import numpy as np
import pytest

from uq_harness.errors import UQHarnessError
from uq_harness.evidence import (
    Answer,
    AnswerEntailment,
    AnswerSimilarity,
    Evidence,
    Need,
    PairwiseEntailment,
    PairwiseSimilarity,
    Sample,
    Samples,
    TokenRelevance,
)
from uq_harness.similarity.build import build_nli, build_similarity
from uq_harness.similarity.evidence import Comparer

TEN, FIVE = Samples(3, 1.0), Samples(2, 1.0)
WORDS = ["</s>", "jane", "austen", "eliot"]
NEEDS: list[Need] = [
    TEN,
    FIVE,
    PairwiseEntailment(TEN),
    AnswerEntailment(TEN),
    PairwiseSimilarity(FIVE),
    AnswerSimilarity(TEN),
    TokenRelevance(FIVE),
    PairwiseEntailment(TEN),
]


def decode(ids):
    return " ".join(WORDS[token] for token in ids if token)


def evidence(question: str, *answers: tuple[int, ...]) -> Evidence:
    samples = tuple(Sample(decode(ids), ids, np.zeros(len(ids)), complete=ids[-1:] == (0,)) for ids in answers)
    greedy = Answer("jane austen", (1, 2), np.zeros(2), np.zeros(2), complete=False)
    return Evidence(question, greedy, {TEN: samples, FIVE: samples[:2]})


def comparer(needs: list[Need] = NEEDS, model: str = "lexical") -> Comparer:
    return Comparer(needs, build_nli(model), build_similarity(model), decode=decode, special_ids=frozenset({0}))


def test_each_need_finds_its_evidence_in_the_documented_shape() -> None:
    service = comparer()
    batch = [evidence("who?", (1, 2, 0), (2, 0), (3,)), evidence("who?", (1, 2), (1, 2), (1, 2))]
    first, second = service.add_similarity(service.add_entailment(batch))
    assert first[PairwiseEntailment(TEN)].shape == (3, 3, 3)
    assert first[AnswerEntailment(TEN)][:, :, 0].tolist() == [[1, 1], [0, 0], [0, 0]]
    assert first[PairwiseSimilarity(FIVE)] == pytest.approx(np.array([[1, 0.8], [0.8, 1]]))
    assert first[AnswerSimilarity(TEN)] == pytest.approx(np.array([1, 0.8, 0.4]))
    relevance = first[TokenRelevance(FIVE)]
    assert [array.tolist() for array in relevance] == [pytest.approx([0.2, 0.2, 0]), pytest.approx([1 / 3, 0])]
    assert second[PairwiseEntailment(TEN)][..., 0].tolist() == [[1] * 3] * 3
    assert second[TEN] == batch[1][TEN]
    assert {PairwiseEntailment(TEN), AnswerEntailment(TEN)} <= set(first.values)


def test_only_models_that_are_needed_are_loaded() -> None:
    comparer([TEN], model="/nowhere").prepare()
    with pytest.raises(UQHarnessError, match="nli_model"):
        comparer([AnswerEntailment(TEN)], model="/nowhere").prepare()
    for need in (TokenRelevance(TEN), AnswerSimilarity(TEN)):
        with pytest.raises(UQHarnessError, match="similarity_model"):
            comparer([need], model="/nowhere").prepare()


def test_without_such_needs_nothing_is_asked() -> None:
    service = comparer([TEN], model="/nowhere")
    (found,) = service.add_similarity(service.add_entailment([evidence("who?", (1,), (2,), (3,))]))
    assert set(found.values) == {TEN, FIVE}
