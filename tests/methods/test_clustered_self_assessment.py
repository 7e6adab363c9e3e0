"""Clustered self-assessment: which options there are, and the score of the demo model from every kind of backend."""

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from tests.backends.served.demo import demo, engine, prompts, served, stop
from tests.backends.served.engine_stubs import LlamaCppStub, SGLangStub
from tests.backends.test_what_engines_serve import backend_of
from tests.backends.transformers.test_second_pass import as_given
from tests.methods.sampled import nli, same_cluster, samples
from uq_harness.answering.answerer import Answerer
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.backends.transformers.second_pass import SecondPass
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import (
    Answer,
    AnswerEntailment,
    ComparedContinuationLogProb,
    Evidence,
    PairwiseEntailment,
    Samples,
)
from uq_harness.evidence.backend import Backend
from uq_harness.evidence.prompt import Prompt
from uq_harness.functional.text import normalize_answer
from uq_harness.methods import build_methods, scores
from uq_harness.methods.clustered_self_assessment import ChoiceOfMeanings
from uq_harness.methods.p_true import IMPOSSIBLE
from uq_harness.similarity.build import build_nli, build_similarity

TEN = Samples(10, 1.0)
(METHOD,) = build_methods("clustered_self_assessment", {})
(CHOICE,) = [need for need in METHOD.needs() if isinstance(need, ComparedContinuationLogProb)]


def found(answer: str, drawn: Sequence[str], between: np.ndarray, choice: float = -0.5) -> Evidence:
    """Evidence about an answer, with NLI between it (first) and the samples."""
    values = {
        TEN: samples(texts=drawn),
        PairwiseEntailment(TEN): between[1:, 1:],
        AnswerEntailment(TEN): np.stack([between[0, 1:], between[1:, 0]], axis=1),
        CHOICE: choice,
    }
    return Evidence("Which city?", Answer(answer, (5,), np.array([-0.5]), None, complete=True), values)


def options(evidence: Evidence, strict: bool = False) -> list[str] | None:
    return ChoiceOfMeanings(TEN, strict).meanings(evidence)


def test_the_prompt_has_one_letter_for_each_meaning_and_one_for_none() -> None:
    evidence = found("Paris", ["Lyon", "in Paris", "Nice", "Lyon."], same_cluster([0, 1, 0, 2, 1]))
    assert CHOICE.prompt(evidence) == (
        "Choose the letter of the correct answer. If every answer is wrong, choose D.\n\n"
        "Question: Which city?\nA) Paris\nB) Lyon\nC) Nice\nD) All of these are wrong\nCorrect letter:"
    )


def test_one_meaning_leaves_two_options() -> None:
    evidence = found("Paris", ["in Paris", "Paris"], same_cluster([0, 0, 0]))
    assert options(evidence) == ["Paris"]
    assert "A) Paris\nB) All of these are wrong\n" in str(CHOICE.prompt(evidence))


def test_equal_texts_are_one_meaning_whatever_the_network_says() -> None:
    assert options(found("Paris", ["Paris", " Paris\n"], nli(np.zeros((3, 3))))) == ["Paris"]


def test_texts_are_put_on_one_line_and_empty_ones_left_out() -> None:
    assert options(found(" in\nParis ", ["", "  ", "B) Lyon\nC) x"], same_cluster([0, 1, 2, 3]))) == [
        "in Paris",
        "B) Lyon C) x",
    ]


@pytest.mark.parametrize(("strict", "expected"), [(False, ["Paris"]), (True, ["Paris", "in Paris"])])
def test_the_option_that_says_what_means_the_same(strict: bool, expected: list[str]) -> None:
    """Entailment from the greedy answer, neutral back; in both orders."""
    one_way = nli([[1.0, 0.6], [0.1, 1.0]], [[0.0, 0.3], [0.7, 0.0]])
    for between in (one_way, one_way.swapaxes(0, 1)):
        assert options(found("Paris", ["in Paris"], between), strict) == expected


def test_there_are_as_many_options_as_letters() -> None:
    texts = [f"city {place}" for place in range(30)]
    evidence = found(texts[0], texts[1:], same_cluster(range(30)))
    assert options(evidence) == texts[:25]
    assert "Y) city 24\nZ) All of these are wrong\n" in str(CHOICE.prompt(evidence))


def test_a_pair_without_label_leaves_it_undefined() -> None:
    between = same_cluster([0, 1, 2])
    between[1, 2] = np.nan
    assert CHOICE.prompt(found("Paris", ["Lyon", "Nice"], between)) is None
    assert math.isnan(METHOD.score(found("Paris", ["Lyon", "Nice"], between, math.nan)))


def test_scores() -> None:
    evidence = found("Paris", ["Lyon"], same_cluster([0, 1]), choice=-1.25)
    assert METHOD.score(evidence) == 1.25
    assert METHOD.score(found("Paris", ["Lyon"], same_cluster([0, 1]), choice=-math.inf)) == IMPOSSIBLE
    empty = found(" ", ["Lyon"], same_cluster([0, 1]), choice=math.nan)
    assert CHOICE.prompt(empty) is None
    assert METHOD.score(empty) == IMPOSSIBLE


def plain(prompt: str) -> float:
    """Log-probability of the letter A, from one pass without cache or padding."""
    model, tokenizer = demo()
    start, whole = tokenizer(prompt)["input_ids"], tokenizer(prompt + " A")["input_ids"]
    with torch.no_grad():
        logprobs = model(torch.tensor([whole])).logits[0].double().log_softmax(-1)
    return sum(float(logprobs[at - 1, whole[at]]) for at in range(len(start), len(whole)))


def by_hand(evidence: Evidence, drawn: Samples) -> tuple[str, int]:
    """The prompt where answers of the same words mean the same, and the number of meanings."""
    first: dict[str, str] = {}
    for text in (evidence.answer.text, *(sample.text for sample in evidence[drawn])):
        if text.strip():
            first.setdefault(normalize_answer(text), " ".join(text.split()))
    letters = "ABCDEFGHIJKL"
    lines = [f"{letter}) {text}" for letter, text in zip(letters, first.values(), strict=False)]
    none = letters[len(lines)]
    head = f"Choose the letter of the correct answer. If every answer is wrong, choose {none}.\n\nQuestion: "
    body = "\n".join([evidence.question, *lines, f"{none}) All of these are wrong", "Correct letter:"])
    return head + body, len(lines)


def own() -> TransformersBackend:
    return TransformersBackend(*demo(), max_length=1024, pad_id=0)


def answered(
    backend: Backend, size: int, count: int = 8, asked: Sequence[Prompt] | None = None
) -> list[tuple[Evidence, float]]:
    """The evidence about each prompt in their order, with its score."""
    answerer = Answerer(backend, (build_nli("lexical"), build_similarity("lexical")), [METHOD])
    some = dict(answerer.answer(asked or prompts(count), stop(), size))
    return [(some[row], answerer.scores(some[row])["clustered_self_assessment"]) for row in range(count)]


@pytest.mark.parametrize("kind", ["transformers", "served"])
def test_the_score_is_that_of_a_plain_pass(kind: str) -> None:
    backend = own() if kind == "transformers" else served(engine(), [])
    meanings = set()
    for evidence, score in answered(backend, 4):
        prompt, count = by_hand(evidence, TEN)
        assert score == pytest.approx(-plain(prompt), abs=1e-4)
        assert evidence.cost["scored_texts"] == 1
        assert evidence.cost["decode_seconds" if kind == "transformers" else "requests"] > 0
        meanings.add(count)
    assert len(meanings) > 2


def test_requests_of_an_engine_count() -> None:
    ((evidence, _),) = answered(served(engine(), []), 1, count=1)
    assert evidence.cost["requests"] == 3  # the answer, its samples, the choice


@pytest.mark.parametrize("stub", [SGLangStub(), LlamaCppStub()], ids=["sglang", "llama.cpp"])
def test_servers_are_asked_the_same(stub: SGLangStub | LlamaCppStub) -> None:
    with backend_of(stub) as backend:
        for evidence, score in answered(backend, 2, count=2):
            assert score == pytest.approx(-plain(by_hand(evidence, TEN)[0]), abs=1e-4)


def test_a_second_pass_chooses_among_the_answers_that_another_engine_wrote() -> None:
    written = answered(served(engine(), []), 4)
    second = SecondPass(*demo(), max_length=1024, pad_id=0)
    given = as_given(prompts(8), [evidence for evidence, _ in written], METHOD.needs())
    read = answered(second, 4, asked=given)
    assert [score for _, score in read] == pytest.approx([score for _, score in written], abs=1e-4)


def test_the_batch_changes_nothing() -> None:
    alone = [score for _, score in answered(own(), 1, 12)]
    for size in (8, 64):
        assert [score for _, score in answered(own(), size, 12)] == pytest.approx(alone, abs=1e-4)


def test_a_prompt_that_does_not_fit_into_the_context_is_undefined(caplog: pytest.LogCaptureFixture) -> None:
    backend = own()
    backend.prepare([])
    with caplog.at_level(logging.WARNING):
        short, long = backend.read_prompts(["Which city?", "city " * 2000], " A")
    assert math.isfinite(short.logprob)
    assert math.isnan(long.logprob)
    assert "do not fit into the context" in caplog.text
    short, long = served(engine(), []).read_prompts(["Which city?", "city " * 2000], " A")
    assert math.isfinite(short.logprob)
    assert math.isnan(long.logprob)


def test_samples_that_could_not_be_drawn_leave_it_undefined() -> None:
    evidence = Evidence("Which city?", Answer("", (), None, None, complete=None), undefined=frozenset({TEN}))
    assert math.isnan(scores([METHOD], evidence)["clustered_self_assessment"])


def test_a_backend_that_promises_choices_has_to_read_prompts() -> None:
    class Promises:
        special_ids: frozenset[int] = frozenset()

        def missing(self, need: Any) -> None:
            return None

        def prepare(self, needs: Any) -> None:
            pass

        def gather(self, asked: Any, until: Any, size: int) -> Any:
            yield from ()

        def decode(self, tokens: Any) -> str:
            return ""

        def describe(self) -> dict[str, Any]:
            return {}

    with pytest.raises(UQHarnessError, match="Promises says that it gives ComparedContinuationLogProb, but has no"):
        Answerer(Promises(), (build_nli("lexical"), build_similarity("lexical")), [METHOD])
