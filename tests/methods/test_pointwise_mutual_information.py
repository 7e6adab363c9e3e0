"""Pointwise mutual information of the demo model's answers, from every kind of backend."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.backends.served.demo import demo, engine, gathered, prompts, served, stop
from uq_harness.backends.saved.backend import SavedBackend
from uq_harness.backends.saved.read import read_saved
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.evidence import Answer, AnswerLogProbs, Evidence, UnconditionalLogProbs
from uq_harness.methods import build_methods, scores

METHODS = build_methods("pointwise_mutual_information+conditional_pmi", {})
NEEDS = list(dict.fromkeys(need for method in METHODS for need in method.needs()))


@pytest.fixture(params=[None, "<|im_start|>"], autouse=True, ids=["no_beginning", "beginning"])
def _beginning(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo model's tokenizer has no beginning-of-sequence token; other models' have."""
    monkeypatch.setattr(demo()[1], "bos_token", request.param)


def own_backend() -> TransformersBackend:
    backend = TransformersBackend(*demo(), max_length=1024, pad_id=0)
    backend.prepare(NEEDS)
    return backend


def plain(tokens: Sequence[int]) -> np.ndarray:
    """Log-probabilities behind the beginning-of-sequence token, without cache or padding."""
    model, tokenizer = demo()
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    with torch.no_grad():
        logits = model(torch.tensor([[*start, *tokens]])).logits[0, :-1].double()
    told = logits.log_softmax(-1)[torch.arange(len(start) + len(tokens) - 1), list(tokens)[1 - len(start) :]].numpy()
    return np.append(np.full(1 - len(start), np.nan), told)


def test_the_evidence_and_the_score_are_those_of_a_plain_pass() -> None:
    for found in gathered(own_backend(), prompts(6), stop()):
        assert found.answer.token_ids is not None
        assert found.answer.logprobs is not None
        expected = plain(found.answer.token_ids)
        assert found[UnconditionalLogProbs()] == pytest.approx(expected, abs=1e-5, nan_ok=True)
        terms = np.append(found.answer.logprobs[:1], found.answer.logprobs[1:] - expected[1:])
        assert scores(METHODS[:1], found)["pointwise_mutual_information"] == pytest.approx(-terms.mean(), abs=1e-5)
        assert found.cost["scored_texts"] == 1


@pytest.mark.parametrize("size", [1, 8, 64])
def test_the_batch_and_the_order_change_nothing(size: int) -> None:
    asked = prompts(12)
    whole = [scores(METHODS, one) for one in gathered(own_backend(), asked, stop(), 12)]
    other = [scores(METHODS, one) for one in gathered(own_backend(), asked[::-1], stop(), size)][::-1]
    for one, same in zip(whole, other, strict=True):
        assert one == pytest.approx(same, abs=1e-5)
        assert all(map(math.isfinite, one.values()))


def test_an_engine_is_asked_for_the_answer_alone() -> None:
    own, asked = engine(), prompts(3)
    needs = [AnswerLogProbs(), UnconditionalLogProbs()]
    for found, ours in zip(
        gathered(served(own, needs), asked, stop()), gathered(own_backend(), asked, stop()), strict=True
    ):
        assert found.answer.token_ids == ours.answer.token_ids
        assert found[UnconditionalLogProbs()] == pytest.approx(ours[UnconditionalLogProbs()], abs=1e-5, nan_ok=True)
        assert math.isnan(found[UnconditionalLogProbs()][0]) == (demo()[1].bos_token is None)
        assert math.isfinite(scores(METHODS[:1], found)["pointwise_mutual_information"])
        assert found.cost["requests"] == 2


def test_an_answer_without_tokens_has_no_score() -> None:
    nothing = np.empty(0)
    found = Evidence("x", Answer("", (), nothing, nothing, complete=True), {UnconditionalLogProbs(): nothing})
    assert all(map(math.isnan, scores(METHODS, found).values()))


def test_a_file_says_what_it_lacks(tmp_path: Path) -> None:
    file = tmp_path / "saved.jsonl"
    file.write_text(json.dumps({"question": "x", "answer": "y", "token_logprobs": [-1.0]}), encoding="utf-8")
    lacking = SavedBackend(read_saved(file).answers[0]).missing(UnconditionalLogProbs())
    assert lacking == "log-probabilities of the answer without its question, which take the model"
