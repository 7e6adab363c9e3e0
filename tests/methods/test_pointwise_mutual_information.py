"""Pointwise mutual information of the demo model's answers, from every kind of backend."""

import copy
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerBase

from tests.backends.served.demo import demo, engine, gathered, prompts, stop
from uq_harness.backends.saved.backend import SavedBackend
from uq_harness.backends.saved.read import read_saved
from uq_harness.backends.served.backend import ServedBackend
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.evidence import Answer, AnswerLogProbs, Evidence, UnconditionalLogProbs
from uq_harness.methods import build_methods, scores

METHODS = build_methods("pointwise_mutual_information+conditional_pmi", {})
PMI = build_methods("pointwise_mutual_information", {})
NEEDS = list(dict.fromkeys(need for method in METHODS for need in method.needs()))


@pytest.fixture(params=[None, "<|im_start|>"], ids=["no_beginning", "beginning"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    """The demo model's, which has no beginning-of-sequence token, and one that has."""
    own = copy.deepcopy(demo()[1])
    if request.param is not None:
        own.bos_token = request.param
    assert (own.bos_token_id is None) == (request.param is None)
    return own


def own_backend(tokenizer: PreTrainedTokenizerBase) -> TransformersBackend:
    backend = TransformersBackend(demo()[0], tokenizer, max_length=1024, pad_id=0)
    backend.prepare(NEEDS)
    return backend


def plain(tokens: Sequence[int], bos: int | None) -> np.ndarray:
    """Log-probabilities behind the beginning-of-sequence token, without cache or padding."""
    start = [] if bos is None else [bos]
    with torch.no_grad():
        logits = demo()[0](torch.tensor([[*start, *tokens]])).logits[0, :-1].double()
    predicted = list(tokens)[1 - len(start) :]
    told = logits.log_softmax(-1)[torch.arange(len(predicted)), predicted].numpy()
    return np.append(np.full(1 - len(start), np.nan), told)


def test_the_evidence_and_the_score_are_those_of_a_plain_pass(tokenizer: PreTrainedTokenizerBase) -> None:
    for found in gathered(own_backend(tokenizer), prompts(6), stop()):
        assert found.answer.token_ids is not None
        assert found.answer.logprobs is not None
        expected = plain(found.answer.token_ids, tokenizer.bos_token_id)
        assert found[UnconditionalLogProbs()] == pytest.approx(expected, abs=1e-5, nan_ok=True)
        terms = np.append(found.answer.logprobs[:1], found.answer.logprobs[1:] - expected[1:])
        assert scores(PMI, found)["pointwise_mutual_information"] == pytest.approx(-terms.mean(), abs=1e-5)
        assert found.cost["scored_texts"] == 1


@pytest.mark.parametrize("size", [1, 8, 64])
def test_the_batch_and_the_order_change_nothing(size: int, tokenizer: PreTrainedTokenizerBase) -> None:
    asked = prompts(12)
    whole = [scores(METHODS, one) for one in gathered(own_backend(tokenizer), asked, stop(), 12)]
    other = [scores(METHODS, one) for one in gathered(own_backend(tokenizer), asked[::-1], stop(), size)][::-1]
    for one, same in zip(whole, other, strict=True):
        assert one == pytest.approx(same, abs=1e-5)
        assert all(map(math.isfinite, one.values()))


def test_an_engine_is_asked_for_the_answer_alone(tokenizer: PreTrainedTokenizerBase) -> None:
    backend = ServedBackend(engine(), tokenizer, max_length=1024)
    backend.prepare([AnswerLogProbs(), UnconditionalLogProbs()])
    asked = prompts(3)
    of_torch = gathered(own_backend(tokenizer), asked, stop())
    for found, ours in zip(gathered(backend, asked, stop()), of_torch, strict=True):
        assert found.answer.token_ids == ours.answer.token_ids
        assert found[UnconditionalLogProbs()] == pytest.approx(ours[UnconditionalLogProbs()], abs=1e-5, nan_ok=True)
        assert math.isnan(found[UnconditionalLogProbs()][0]) == (tokenizer.bos_token is None)
        assert math.isfinite(scores(PMI, found)["pointwise_mutual_information"])
        assert found.cost["requests"] == 2


def test_an_answer_without_tokens_has_no_score() -> None:
    nothing = np.empty(0)
    found = Evidence("x", Answer("", (), nothing, nothing, complete=True), {UnconditionalLogProbs(): nothing})
    assert all(map(math.isnan, scores(METHODS, found).values()))


def test_a_file_says_what_it_lacks(tmp_path: Path) -> None:
    file = tmp_path / "saved.jsonl"
    row = {"question": "x", "answers": ["y"], "answer": "y", "token_logprobs": [-1.0]}
    file.write_text(json.dumps(row), encoding="utf-8")
    lacking = SavedBackend(read_saved(file).answers[0]).missing(UnconditionalLogProbs())
    assert lacking == "log-probabilities of the answer without its question, which take the model"
