"""What this package relies on of vLLM, behind HTTP and in this process."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest

from tests.real_server.asking import prompts, questions
from tests.real_server.server import LONGEST, VLLMServer, requires_vllm
from uq_harness.backends.served.engine import Ability, Engine, Steps
from uq_harness.backends.served.requests import QuestionRefusedError, TokenReply, TokenRequest
from uq_harness.models import UQHFLM

pytestmark = requires_vllm
SEED = 2**62


@pytest.fixture(scope="module")
def prompt(in_torch: UQHFLM) -> tuple[int, ...]:
    (one,) = prompts(in_torch, questions(1))
    return tuple(one.token_ids)


def ask(engine: Engine, *requests: TokenRequest) -> list[TokenReply | QuestionRefusedError]:
    """What becomes of some requests, all under way at once."""

    def steps(request: TokenRequest) -> Steps[TokenReply]:
        (reply,) = yield [request]
        return reply

    work = (lambda request=request: steps(request) for request in requests)
    found: Iterator[tuple[int, TokenReply | QuestionRefusedError]] = engine.drive(work, len(requests))
    replies = dict(found)
    return [replies[place] for place in range(len(requests))]


def reply(engine: Engine, request: TokenRequest) -> TokenReply:
    (found,) = ask(engine, request)
    assert isinstance(found, TokenReply), found
    return found


def test_nothing_is_lacking(engine: Engine) -> None:
    assert [engine.lacks(ability) for ability in Ability] == [None] * len(Ability)
    assert engine.most_alternatives == 20


def test_the_end_token_comes_with_its_log_probability(engine: Engine, prompt: tuple[int, ...]) -> None:
    (choice,) = reply(engine, TokenRequest(prompt, 24, end_ids=(2,), top=3)).choices
    assert choice.ended
    assert choice.token_ids[-1] == 2
    assert len(choice.logprobs) == len(choice.token_ids) == len(choice.top)
    for token, value, row in zip(choice.token_ids, choice.logprobs, choice.top, strict=True):
        assert max(row, key=lambda one: row[one]) == token
        assert row[token] == value


def test_answers_end_at_the_tokens_of_the_request_alone(engine: Engine, prompt: tuple[int, ...]) -> None:
    (plain,) = reply(engine, TokenRequest(prompt, 24, end_ids=(2,))).choices
    first = plain.token_ids[0]
    (at_first,) = reply(engine, TokenRequest(prompt, 24, end_ids=(first,))).choices
    assert (at_first.token_ids, at_first.ended) == ((first,), True)
    (further,) = reply(engine, TokenRequest(prompt, 24)).choices
    assert (len(further.token_ids), further.ended) == (24, False)
    assert further.token_ids[: len(plain.token_ids)] == plain.token_ids


def test_tokens_are_read_as_they_were_written(engine: Engine, prompt: tuple[int, ...]) -> None:
    (choice,) = reply(engine, TokenRequest(prompt, 24, end_ids=(2,), top=20)).choices
    count = len(choice.token_ids)
    read = reply(engine, TokenRequest((*prompt, *choice.token_ids), 0, forced=count, forced_top=20))
    assert not read.choices
    assert read.forced == pytest.approx(choice.logprobs, abs=1e-4)
    for row, told in zip(read.forced_top, choice.top, strict=True):
        assert row == pytest.approx(sorted(told.values(), reverse=True), abs=1e-4)
        assert len(row) == 20


def test_sample_i_is_that_of_seed_plus_i(engine: Engine, prompt: tuple[int, ...]) -> None:
    drawn = TokenRequest(prompt, 24, count=4, temperature=1.0, seed=SEED, end_ids=(2,))
    single = [replace(drawn, count=1, seed=SEED + i) for i in range(4)]
    many, *others = ask(engine, drawn, *single)
    assert isinstance(many, TokenReply)
    assert len({choice.token_ids for choice in many.choices}) > 1
    for choice, other in zip(many.choices, others, strict=True):
        assert isinstance(other, TokenReply)
        assert choice.token_ids == other.choices[0].token_ids


def test_the_models_folder_changes_neither_answers_nor_samples(
    http: Engine, local: Engine, server: VLLMServer, prompt: tuple[int, ...]
) -> None:
    """The server's folder would have texts drawn otherwise, the one of vLLM in this process says nothing."""
    greedy = TokenRequest(prompt, 24)
    drawn = TokenRequest(prompt, 24, count=8, temperature=1.0, seed=SEED)
    for request in (greedy, drawn):
        one, other = reply(http, request), reply(local, request)
        assert [choice.token_ids for choice in one.choices] == [choice.token_ids for choice in other.choices]
    bare = {"model": server.name, "prompt": prompt, "max_tokens": 24, "temperature": 0.0, "ignore_eos": True}
    assert bare_tokens(server, bare) != reply(http, greedy).choices[0].token_ids
    neutral = {**bare, "repetition_penalty": 1.0}
    assert bare_tokens(server, neutral) == reply(http, greedy).choices[0].token_ids


def bare_tokens(server: VLLMServer, body: dict[str, Any]) -> tuple[int, ...]:
    """The tokens that the server writes for a body as it is."""
    request = Request(
        f"{server.base_url}/completions",
        json.dumps({**body, "return_token_ids": True}).encode(),
        {"content-type": "application/json"},
    )
    with urlopen(request, timeout=60) as answered:
        return tuple(json.load(answered)["choices"][0]["token_ids"])


def test_drawn_tokens_have_the_models_own_log_probabilities(engine: Engine, prompt: tuple[int, ...]) -> None:
    hot = TokenRequest(prompt, 6, count=4, temperature=2.0, top_p=0.9, top_k=40, seed=7)
    for choice in reply(engine, hot).choices:
        read = reply(engine, TokenRequest((*prompt, *choice.token_ids), 0, forced=6))
        assert choice.logprobs == pytest.approx(read.forced, abs=1e-4)


def test_a_stop_string_stays_in_the_tokens(engine: Engine, in_torch: UQHFLM, prompt: tuple[int, ...]) -> None:
    (plain,) = reply(engine, TokenRequest(prompt, 24, end_ids=(2,))).choices
    stop = in_torch.tokenizer.decode(list(plain.token_ids[:2])).strip()
    (stopped,) = reply(engine, TokenRequest(prompt, 24, end_ids=(2,), stop_strings=(stop,))).choices
    assert stopped.ended
    assert stopped.token_ids == plain.token_ids[: len(stopped.token_ids)]
    assert stop in in_torch.tokenizer.decode(list(stopped.token_ids))


def test_only_what_cannot_be_answered_is_refused(engine: Engine, prompt: tuple[int, ...]) -> None:
    """Others in the same round have their replies, and nothing is cut silently."""
    fine = TokenRequest(prompt, 3)
    too_long = TokenRequest((prompt * LONGEST)[: LONGEST + 1], 3)
    foreign = TokenRequest((10**6,), 3)
    too_hot = TokenRequest(prompt, 3, temperature=3.0)
    found = ask(engine, fine, too_long, foreign, too_hot)
    assert [isinstance(one, QuestionRefusedError) for one in found] == [False, True, True, True]
    assert str(LONGEST) in str(found[1])
    assert np.isfinite(reply(engine, fine).choices[0].logprobs).all()
