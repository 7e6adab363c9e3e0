"""What a chat endpoint is asked, and that its evidence is what the model's own tokens give."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from tests.backends.chat_completions.demo_chat import DemoChat
from tests.backends.demo_writer import WRITER
from tests.backends.json_server import JsonServer, Refused, serving_json
from uq_harness.answering.stopping import text_stop_criteria
from uq_harness.backends.chat_completions.backend import ChatBackend
from uq_harness.backends.chat_completions.probe import probe
from uq_harness.backends.chat_completions.request import ChatPrompt
from uq_harness.endpoints.settings import Endpoint
from uq_harness.endpoints.tokens import TokenClient
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import AnswerLogProbs, Evidence, Need, SampleLogProbs, Samples, TokenRelevance
from uq_harness.evidence.backend import gather_all
from uq_harness.functional import FloatArray
from uq_harness.similarity.requests import TokenRemovals

QUESTIONS = ("Which city is the capital of Norway?", "Which metal has the symbol Fe?", "Who wrote Emma?")
TEN = Samples(10, 1.0)
NEEDS: tuple[Need[Any], ...] = (AnswerLogProbs(), SampleLogProbs(TEN), TokenRelevance(TEN), Samples(4, 0.7))
LIMIT = 12


def prompts(*questions: str) -> list[ChatPrompt]:
    return [ChatPrompt(one, one, (), -1, messages=({"role": "user", "content": one},)) for one in questions]


@contextmanager
def chat(endpoint: DemoChat, retries: int = 0, seed: int = 1) -> Iterator[tuple[ChatBackend, JsonServer]]:
    """A backend over an endpoint that has been probed, and what the endpoint is sent from then on."""
    with serving_json({"/v1/chat/completions": endpoint.complete}) as server:
        client = TokenClient(Endpoint("demo", f"{server.root}/v1", retries=retries))
        backend = ChatBackend(probe(client, "demo"), seed)
        server.bodies.clear()
        yield backend, server


def gathered(
    backend: ChatBackend, *stops: str, questions: tuple[str, ...] = QUESTIONS, needs: Any = NEEDS
) -> list[Evidence]:
    backend.prepare(needs)
    stop = text_stop_criteria(backend.decode, stop_strings=stops, max_new_tokens=LIMIT)
    return gather_all(backend, prompts(*questions), stop)


def written(body: dict[str, Any], number: int) -> tuple[list[int], FloatArray]:
    """The tokens that the endpoint wrote for a body, and the model's log-probabilities of them when it reads them."""
    prompt = WRITER.chat(body["messages"])
    temperature = body["temperature"]
    seed = body["seed"] + number if temperature else 0
    steps = WRITER.write(prompt, body["max_tokens"], temperature, body["top_p"], max(0, body["top_k"]), seed)
    tokens = [step.token for step in steps]
    law = WRITER.read([*prompt, *tokens])
    places = range(len(prompt) - 1, len(prompt) + len(tokens) - 1)
    return tokens, np.array([float(law[i, token]) for i, token in zip(places, tokens, strict=True)])


def asked(server: JsonServer, question: str, temperature: float) -> list[dict[str, Any]]:
    return [b for _, b in server.bodies if b["messages"][-1]["content"] == question and b["temperature"] == temperature]


@pytest.mark.parametrize("endpoint", [DemoChat(), DemoChat(whole_texts=True), DemoChat(top=2)])
def test_values_are_those_of_the_tokens_that_were_written(endpoint: DemoChat) -> None:
    with chat(endpoint) as (backend, server):
        for question, evidence in zip(QUESTIONS, gathered(backend), strict=True):
            (body,) = asked(server, question, 0.0)
            tokens, logprobs = written(body, 0)
            assert evidence.answer.text == WRITER.decode(tokens)
            assert evidence.answer.logprobs == pytest.approx(logprobs, abs=1e-4)
            assert evidence.answer.complete == (len(tokens) < LIMIT)
            (body,) = asked(server, question, 1.0)
            for number, sample in enumerate(evidence[TEN]):
                tokens, logprobs = written(body, number)
                assert sample.text == WRITER.decode(tokens)
                assert sample.logprobs == pytest.approx(logprobs, abs=1e-4)
            assert len(evidence[Samples(4, 0.7)]) == 4
            assert evidence.cost["requests"] == 3
            assert not evidence.undefined


def test_tokens_are_left_out_as_those_of_the_model_are() -> None:
    with chat(DemoChat()) as (backend, server):
        (evidence,) = gathered(backend, questions=QUESTIONS[:1])
        ids = tuple(written(asked(server, QUESTIONS[0], 1.0)[0], 3)[0])
        mine = TokenRemovals("q", (evidence[TEN][3].token_ids,), backend.decode, backend.special_ids)
        end = frozenset({WRITER.tokenizer.eos_token_id})
        assert mine.pairs() == TokenRemovals("q", (ids,), lambda some: WRITER.decode(list(some)), end).pairs()


def test_stop_strings_cut_text_and_tokens_alike() -> None:
    with chat(DemoChat()) as (backend, server):
        (whole,) = gathered(backend, questions=QUESTIONS[:1])
        text = whole.answer.text
        stop = text[len(text) // 2]
        (cut,) = gathered(backend, stop, questions=QUESTIONS[:1])
        assert cut.answer.text == text.split(stop)[0]
        tokens, logprobs = written(asked(server, QUESTIONS[0], 0.0)[0], 0)
        needed = next(n for n in range(len(tokens)) if WRITER.decode(tokens[:n]).startswith(cut.answer.text))
        assert cut.answer.logprobs == pytest.approx(logprobs[:needed], abs=1e-4)
        assert server.bodies[-1][1]["stop"] == [stop]


def test_an_endpoint_that_takes_no_stop_strings_has_its_answers_cut_all_the_same() -> None:
    with chat(DemoChat()) as (backend, _), chat(DemoChat(ignored=frozenset({"stop"}))) as (other, _):
        first, second = (gathered(one, "o", questions=QUESTIONS[:2]) for one in (backend, other))
        for mine, theirs in zip(first, second, strict=True):
            assert mine.answer.text == theirs.answer.text
            assert mine.answer.logprobs == pytest.approx(theirs.answer.logprobs)


def test_thoughts_within_the_message_are_no_part_of_the_answer() -> None:
    with chat(DemoChat()) as (backend, server):
        (whole,) = gathered(backend, questions=QUESTIONS[:1])
        tokens, _ = written(asked(server, QUESTIONS[0], 0.0)[0], 0)
        mark = WRITER.decode(tokens[:1])
        backend.prepare(NEEDS)
        stop = text_stop_criteria(backend.decode, stop_strings=(), max_new_tokens=LIMIT, think_end=mark)
        (evidence,) = gather_all(backend, prompts(QUESTIONS[0]), stop)
        assert evidence.answer.text == whole.answer.text.split(mark)[-1].lstrip()
        assert len(evidence.answer.logprobs) < len(whole.answer.logprobs)


def test_every_setting_is_in_every_request() -> None:
    with chat(DemoChat()) as (backend, server):
        gathered(backend)
        neutral = {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
        neutral |= {"presence_penalty": 0.0, "frequency_penalty": 0.0}
        assert all(neutral.items() <= body.items() for _, body in server.bodies)
        seeds = {body["seed"] for _, body in server.bodies if body["temperature"]}
        assert len(seeds) == 6  # questions × sets
        assert min(abs(a - b) for a in seeds for b in seeds if a != b) > 1000


def test_equal_runs_ask_the_same_and_other_seeds_do_not() -> None:
    texts = []
    for seed in (1, 1, 2):
        with chat(DemoChat(), seed=seed) as (backend, _):
            texts.append([sample.text for one in gathered(backend) for sample in one[TEN]])
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("endpoint", [DemoChat(ignored=frozenset({"n"})), DemoChat(refused=frozenset({"n"}))])
def test_an_endpoint_of_single_answers_is_asked_for_each(endpoint: DemoChat) -> None:
    with chat(endpoint) as (backend, server), chat(DemoChat()) as (several, _):
        (evidence,) = gathered(backend, questions=QUESTIONS[:1])
        (expected,) = gathered(several, questions=QUESTIONS[:1])
        for mine, theirs in zip(evidence[TEN], expected[TEN], strict=True):
            assert (mine.text, list(mine.logprobs)) == (theirs.text, list(theirs.logprobs))
        assert evidence.cost["requests"] == len(server.bodies) == 15
        assert not any("n" in body for _, body in server.bodies)


def test_what_is_not_told_is_undefined_and_nothing_else() -> None:
    with chat(DemoChat(not_told=True)) as (backend, server):
        found = gathered(backend)
        lost = 0
        for question, evidence in zip(QUESTIONS, found, strict=True):
            for number, sample in enumerate(evidence[TEN]):
                _, logprobs = written(asked(server, question, 1.0)[0], number)
                unknown = np.isnan(sample.logprobs)
                lost += int(unknown.sum())
                assert sample.logprobs[~unknown] == pytest.approx(logprobs[~unknown], abs=1e-4)
            assert (SampleLogProbs(TEN) in evidence.undefined) == any(np.isnan(s.logprobs).any() for s in evidence[TEN])
            assert TEN not in evidence.undefined
        assert lost, "no token of 30 samples was beyond the 20 likeliest"


def test_an_end_of_sequence_that_is_not_told_has_no_value() -> None:
    with chat(DemoChat(tells_the_end=False)) as (backend, server):
        assert backend.describe()["end_of_sequence_told"] is False
        (evidence,) = gathered(backend, questions=QUESTIONS[:1])
        _, logprobs = written(asked(server, QUESTIONS[0], 0.0)[0], 0)
        assert evidence.answer.complete
        assert evidence.answer.logprobs == pytest.approx(logprobs[:-1], abs=1e-4)


def test_a_refused_question_has_no_scores_and_the_others_have(caplog: pytest.LogCaptureFixture) -> None:
    class Choosy(DemoChat):
        def complete(self, body: dict[str, Any]) -> dict[str, Any]:
            if "Norway" in body["messages"][-1]["content"]:
                raise Refused("no geography")
            return super().complete(body)

    with chat(Choosy()) as (backend, _), caplog.at_level(logging.WARNING, "uq_harness"):
        refused, *others = gathered(backend)
        assert (refused.answer.text, refused.answer.complete) == ("", None)
        assert "no geography" in refused.refused
        assert all(one.refused is None for one in others)
        assert not refused.defines([AnswerLogProbs()])
        assert all(one.defines(NEEDS) for one in others)
    assert "no geography" in caplog.text
    assert "refused 1 of 3 questions" in caplog.text


def test_refused_samples_leave_the_answer_alone(caplog: pytest.LogCaptureFixture) -> None:
    class Choosy(DemoChat):
        def complete(self, body: dict[str, Any]) -> dict[str, Any]:
            if "Norway" in body["messages"][-1]["content"] and body["temperature"]:
                raise Refused("no games of chance")
            return super().complete(body)

    with chat(Choosy()) as (backend, _), caplog.at_level(logging.WARNING, "uq_harness"):
        without, *others = gathered(backend)
        assert without.answer.text
        assert without.refused is None
        assert without.defines([AnswerLogProbs()])
        assert not any(without.defines([need]) for need in NEEDS if need.sample_set is not None)
        assert all(one.defines(NEEDS) for one in others)
    assert "refused samples or further turns for 1 of 3 questions" in caplog.text


def test_samples_that_no_seed_repeats_are_told(caplog: pytest.LogCaptureFixture) -> None:
    numbers = count(0, 1000)

    class Forgetful(DemoChat):
        def complete(self, body: dict[str, Any]) -> dict[str, Any]:
            return super().complete(body | {"seed": next(numbers)})

    with chat(Forgetful()) as (backend, _):
        assert backend.describe()["seeds"] is False
        assert backend.missing(TEN) is None
        assert backend.missing(SampleLogProbs(TEN)) is None
        assert backend.missing(AnswerLogProbs()) is None
        backend.prepare([AnswerLogProbs()])
        assert "repeatable" not in caplog.text
        backend.prepare([TEN])
        assert "no seed makes the samples of this endpoint repeatable" in caplog.text


def test_an_endpoint_that_refuses_every_question_ends_the_run() -> None:
    class Closed(DemoChat):
        def complete(self, body: dict[str, Any]) -> dict[str, Any]:
            if "story" not in body["messages"][-1]["content"] and "one word" not in body["messages"][-1]["content"]:
                raise Refused("closed today")
            return super().complete(body)

    with chat(Closed()) as (backend, _), pytest.raises(UQHarnessError, match=r"none of 3 questions.*closed today"):
        gathered(backend)


def test_what_was_answered_before_the_endpoint_died_is_kept() -> None:
    class Mortal(DemoChat):
        def complete(self, body: dict[str, Any]) -> Any:
            if "Emma" in body["messages"][-1]["content"]:
                return ["dead"]
            return super().complete(body)

    with chat(Mortal()) as (backend, _):
        backend.prepare(NEEDS)
        stop = text_stop_criteria(backend.decode, stop_strings=(), max_new_tokens=LIMIT)
        found = backend.gather(prompts(QUESTIONS[0], QUESTIONS[2]), stop, 8)
        position, _ = next(found)
        assert position == [0]
        with pytest.raises(UQHarnessError, match="endpoint"):
            next(found)


def test_messages_before_the_question_are_sent() -> None:
    with chat(DemoChat()) as (backend, server):
        backend.prepare([])
        stop = text_stop_criteria(backend.decode, stop_strings=(), max_new_tokens=LIMIT)
        turns = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"})
        (prompt,) = prompts(QUESTIONS[0])
        gather_all(backend, [replace(prompt, messages=(*turns, *prompt.messages))], stop)
        assert server.bodies[-1][1]["messages"] == [*turns, *prompt.messages]
