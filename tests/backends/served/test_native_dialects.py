"""SGLang's /generate and llama.cpp's /completion: the numbers are the model's, and what is not there is found out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.backends.demo_writer import WRITER
from tests.backends.json_server import JsonServer, serving_json
from tests.backends.served.engine_stubs import LlamaCppStub, SGLangStub
from uq_harness.backends.served.engine import Ability
from uq_harness.backends.served.http.dialect import Dialect, UnexpectedReplyError
from uq_harness.backends.served.http.llama_cpp import LlamaCpp
from uq_harness.backends.served.http.server import ServerEngine, open_server
from uq_harness.backends.served.http.sglang import SGLang
from uq_harness.backends.served.requests import QuestionRefusedError, TokenRequest
from uq_harness.endpoints.settings import Endpoint
from uq_harness.endpoints.tokens import TokenClient

Stub = SGLangStub | LlamaCppStub


@contextmanager
def engine(stub: Stub) -> Iterator[tuple[ServerEngine, JsonServer]]:
    with serving_json(stub.routes()) as server:
        client = TokenClient(Endpoint("demo", f"{server.root}/v1", retries=0))
        dialect: Dialect = SGLang(client.root, "demo") if isinstance(stub, SGLangStub) else LlamaCpp(client.root)
        opened = open_server(client, dialect, None, prompt())
        server.bodies.clear()
        yield opened, server


def prompt() -> tuple[int, ...]:
    return tuple(WRITER.chat([{"role": "user", "content": "Which metal has the symbol Fe?"}]))


def read_by_model(ids: tuple[int, ...], count: int) -> np.ndarray:
    """The model's log-probabilities of the last tokens of a text."""
    law = WRITER.read(list(ids))
    return np.array([float(law[i - 1, ids[i]]) for i in range(len(ids) - count, len(ids))])


@pytest.mark.parametrize("stub", [SGLangStub(), LlamaCppStub()])
class TestBoth:
    def test_lack_nothing_as_they_should_run(self, stub: Stub) -> None:
        with engine(stub) as (opened, _):
            assert {ability: opened.lacks(ability) for ability in Ability if opened.lacks(ability)} == {}
            assert opened.most_alternatives == 20

    def test_answers_have_the_models_values(self, stub: Stub) -> None:
        with engine(stub) as (opened, _):
            request = TokenRequest(prompt(), 12, count=4, temperature=1.5, seed=2**61, end_ids=(2,))
            reply = opened.ask(request)
            assert len({choice.token_ids for choice in reply.choices}) > 1
            for choice in reply.choices:
                assert choice.ended == (choice.token_ids[-1] == 2)
                known = read_by_model((*prompt(), *choice.token_ids), len(choice.token_ids))
                told = ~np.isnan(choice.logprobs)
                assert told.any()
                assert choice.logprobs[told] == pytest.approx(known[told], abs=1e-4)
            assert reply.usage.requests == 4
            assert opened.ask(replace(request, count=2)).choices[0].token_ids == reply.choices[0].token_ids

    def test_greedy_answers_tell_the_likeliest_tokens(self, stub: Stub) -> None:
        with engine(stub) as (opened, _):
            (choice,) = opened.ask(TokenRequest(prompt(), 8, end_ids=(2,), top=5)).choices
            assert len(choice.top) == len(choice.token_ids)
            for token, value, row in zip(choice.token_ids, choice.logprobs, choice.top, strict=True):
                assert next(iter(row)) == token
                assert row[token] == pytest.approx(value)
                assert len(row) == 5

    def test_given_tokens_have_the_models_values(self, stub: Stub) -> None:
        with engine(stub) as (opened, _):
            given = tuple(WRITER.tokenizer(" True story")["input_ids"])
            reply = opened.ask(TokenRequest((*prompt(), *given), 0, forced=len(given), forced_top=3))
            assert reply.forced == pytest.approx(read_by_model((*prompt(), *given), len(given)), abs=1e-4)
            assert not reply.choices
            law = WRITER.read([*prompt(), *given])
            for place, row in enumerate(reply.forced_top, len(prompt())):
                assert row == pytest.approx(law[place - 1].topk(3).values.tolist(), abs=1e-4)

    def test_nothing_is_left_to_the_servers_defaults(self, stub: Stub) -> None:
        with engine(stub) as (opened, server):
            opened.ask(TokenRequest(prompt(), 4))
            ((_, body),) = server.bodies
            settings = body.get("sampling_params", body)
            assert settings["min_p"] == settings["presence_penalty"] == settings["frequency_penalty"] == 0
            assert settings.get("repetition_penalty", settings.get("repeat_penalty")) == 1
            assert settings["top_p"] == 1
            assert settings["top_k"] in (-1, 0)

    def test_an_equal_request_is_sent_once(self, stub: Stub) -> None:
        with engine(stub) as (opened, server):
            one, two = (TokenRequest(prompt(), 4, count=n, temperature=1.0, seed=5) for n in (1, 2))
            assert len(opened.ask(two).choices) == 2
            assert len(opened.ask(one).choices) == 1
            sent = len(server.bodies)
            opened.ask(two)
            assert len(server.bodies) == sent


def test_end_tokens_that_are_not_sent_make_another_request() -> None:
    with engine(LlamaCppStub()) as (opened, server):
        (whole,) = opened.ask(TokenRequest(prompt(), max_tokens=6)).choices
        assert len(whole.token_ids) > 2
        (short,) = opened.ask(TokenRequest(prompt(), max_tokens=6, end_ids=(whole.token_ids[1],))).choices
        assert (short.token_ids, short.ended) == (whole.token_ids[:2], True)
        assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("stub", "lacking", "words"),
    [
        (SGLangStub(original=False), Ability.OWN_LAW, "SGLANG_RETURN_ORIGINAL_LOGPROB=1"),
        (SGLangStub(deterministic=False), Ability.SEEDS, "--enable-deterministic-inference"),
        (LlamaCppStub(raw=False), Ability.OWN_LAW, "post_sampling_probs"),
        (LlamaCppStub(biased=True), Ability.FORCED, "logit_bias"),
    ],
)
def test_what_is_missing_is_found_by_effect(stub: Stub, lacking: Ability, words: str) -> None:
    with engine(stub) as (opened, _):
        assert words in (opened.lacks(lacking) or "")
        assert opened.lacks(Ability.LOGPROBS) is None


class TestLlamaCppWithinCharacters:
    """The server leaves out the values of tokens that end within a character."""

    tokens = (5, 6, 7, 6, 2)

    def reply(self, *told: int) -> dict[str, Any]:
        rows = [{"id": self.tokens[i], "logprob": -i - 0.5, "top_logprobs": []} for i in told]
        return {"tokens": list(self.tokens), "completion_probabilities": rows, "stop_type": "eos"}

    def logprobs(self, *told: int) -> list[float]:
        (choice,) = LlamaCpp("http://x").read(self.reply(*told), TokenRequest((1,), 9)).choices
        return [None if np.isnan(value) else value for value in choice.logprobs]

    def test_other_tokens_keep_theirs(self) -> None:
        assert self.logprobs(0, 1, 2, 3, 4) == [-0.5, -1.5, -2.5, -3.5, -4.5]
        assert self.logprobs(0, 1, 3, 4) == [-0.5, -1.5, None, -3.5, -4.5]

    def test_a_value_that_could_be_of_two_tokens_is_not_told(self) -> None:
        assert self.logprobs(0, 3, 4) == self.logprobs(0, 1, 4) == [-0.5, None, None, None, -4.5]

    def test_alternatives_are_refused(self) -> None:
        with pytest.raises(QuestionRefusedError, match="within a character"):
            LlamaCpp("http://x").read(self.reply(0, 1), TokenRequest((1,), 9, top=3))


@pytest.mark.parametrize(
    ("dialect", "reply", "words"),
    [
        (LlamaCpp("r"), {"tokens": [1], "tokens_evaluated": 3}, "^the server read 3 tokens"),
        (LlamaCpp("r"), {"content": "text"}, "not those of llama.cpp's"),
        (SGLang("r", "m"), {"meta_info": {"prompt_tokens": 3}}, "^the server read 3 tokens"),
        (SGLang("r", "m"), {"choices": []}, "not those of SGLang's"),
        (
            SGLang("r", "m"),
            {"meta_info": {"prompt_tokens": 2, "finish_reason": {"type": "abort"}}},
            "gave the request up",
        ),
    ],
)
def test_a_reply_that_does_not_fit_is_not_read(dialect: Dialect, reply: dict[str, Any], words: str) -> None:
    with pytest.raises(UnexpectedReplyError, match=words):
        dialect.read(reply, TokenRequest((1, 2), 4))


def test_a_given_token_that_is_not_written_is_no_value() -> None:
    reply = {"tokens": [9], "completion_probabilities": [{"id": 9, "logprob": -0.1, "top_logprobs": []}]}
    with pytest.raises(UnexpectedReplyError, match="another token"):
        LlamaCpp("r").read(reply, TokenRequest((1, 2), 0, forced=1))
