"""Claim-conditioned probability from decoding to the score: on alternatives written down by hand, and of a model."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from tests.backends.served.demo import demo, prompts, stop
from uq_harness.answering.answerer import Answerer
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.evidence import AlternativeEntailment, Alternatives, Answer, Evidence, LikeliestTokens
from uq_harness.functional import claim_conditioned_probability
from uq_harness.functional.text import normalize_answer
from uq_harness.methods import all_methods, build_methods, scores, select_methods
from uq_harness.similarity.build import build_nli, build_similarity
from uq_harness.similarity.evidence import Comparer

(METHOD,) = build_methods("claim_conditioned_probability", {"claim_top_k": 3})
WORDS = ["</s>", " Paris", "Paris,", " Rome", ".", " the"]
LISTED = LikeliestTokens(3)


def decode(ids: Sequence[int]) -> str:
    return "".join(WORDS[token] for token in ids if token)


def score(tokens: list[list[int]], probabilities: list[list[float]], model: str = "lexical") -> float:
    listed = Alternatives(np.array(tokens, dtype=np.int64).reshape(-1, 3), np.log(probabilities).reshape(-1, 3))
    answer = Answer("Paris", tuple(row[0] for row in tokens), listed.logprobs[:, 0], None, complete=True)
    comparer = Comparer(
        METHOD.needs(), build_nli(model), build_similarity("lexical"), decode=decode, special_ids=frozenset({0})
    )
    (found,) = comparer.add_entailment([Evidence("Which city?", answer, {LISTED: listed})])
    return scores([METHOD], found)["claim_conditioned_probability"]


def test_another_spelling_of_the_same_word_is_no_doubt_and_another_city_is() -> None:
    assert score([[1, 2, 3]], [[0.5, 0.2, 0.1]]) == pytest.approx(-math.log(0.7 / 0.8))


def test_where_an_answer_ends_words_are_neutral_and_signs_are_alike() -> None:
    assert score([[0, 4, 3]], [[0.5, 0.2, 0.1]]) == 0
    assert score([[1, 0, 3]], [[0.5, 0.2, 0.1]]) == pytest.approx(-math.log(0.5 / 0.6))


def test_terms_of_tokens_add_up_and_no_token_has_none() -> None:
    one = score([[1, 2, 3]], [[0.5, 0.2, 0.1]])
    assert score([[1, 2, 3]] * 2, [[0.5, 0.2, 0.1]] * 2) == pytest.approx(2 * one)
    assert math.isnan(score([], []))


def test_nan_of_the_model_or_of_the_comparison_is_undefined() -> None:
    assert math.isnan(score([[1, 2, 3]], [[0.5, math.nan, 0.1]]))
    listed = Alternatives(np.array([[1, 2, 3]]), np.log([[0.5, 0.2, 0.1]]))
    unknown = np.full((1, 3, 2, 3), np.nan)
    answer = Answer("Paris", (1,), np.log([0.5]), None, complete=True)
    found = Evidence("Which city?", answer, {LISTED: listed, AlternativeEntailment(LISTED): unknown})
    assert math.isnan(scores([METHOD], found)["claim_conditioned_probability"])


def test_it_belongs_to_all_alone() -> None:
    for name in ("default", "cheap", "sampling_free", "sampling"):
        assert METHOD.name not in {one.name for one in select_methods(name)}
    assert METHOD.name in {one.name for one in select_methods("all")}
    assert not all_methods()[METHOD.name].sampling


def test_a_model_s_score_is_the_formula_of_whole_distributions() -> None:
    model, tokenizer = demo()
    backend = TransformersBackend(model, tokenizer, max_length=1024, pad_id=tokenizer.pad_token_id)
    (method,) = build_methods("claim_conditioned_probability", {})
    answerer = Answerer(backend, (build_nli("lexical"), build_similarity("lexical")), [method])
    asked = prompts(6)
    for row, found in answerer.answer(asked, stop(), 4):
        prompt, tokens = asked[row].token_ids, found.answer.token_ids
        assert tokens
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
        listed, labels = [], []
        for token, logprobs in zip(tokens, logits.double().log_softmax(-1), strict=True):
            others = [other for other in logprobs.argsort(descending=True).tolist() if other != token][:9]
            texts = [tokenizer.decode([one], skip_special_tokens=True) for one in (token, *others)]
            own, *words = (text.strip(" .,?!'-") for text in texts)
            listed.append(logprobs[[token, *others]].tolist())
            labels.append([2, *(label(own, word) for word in words)])
        expected = claim_conditioned_probability(listed, np.repeat(np.array(labels)[..., np.newaxis], 2, axis=-1))
        assert answerer.scores(found)["claim_conditioned_probability"] == pytest.approx(expected, abs=1e-4)


def label(own: str, word: str) -> int:
    """What the comparison word by word says of two words."""
    if own == word:
        return 2
    if not own or not word:
        return 1
    return 2 if normalize_answer(own) == normalize_answer(word) else 0
