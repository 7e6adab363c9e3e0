"""The engine behind HTTP against a server of the demo model: abilities found out by effect, replies, journal."""

import json
import logging
import math
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backends.served.demo import demo, engine, prompts
from tests.endpoints.servers import HALF_A_BODY, HANG_UP, fails
from tests.endpoints.token_server import NAME, TokenServer, serving_tokens
from tests.http_server import Response
from uq_harness.backends.served.engine import Ability
from uq_harness.backends.served.http.completions import Completions
from uq_harness.backends.served.http.kept import as_text, from_text
from uq_harness.backends.served.http.server import ServerEngine, open_server
from uq_harness.backends.served.http.tokenizer_check import SAMPLE, check_tokenizer
from uq_harness.backends.served.requests import QuestionRefusedError, TokenRequest, Usage
from uq_harness.endpoints.failures import EndpointError
from uq_harness.endpoints.journal import Journal
from uq_harness.endpoints.settings import ServerEndpoint
from uq_harness.endpoints.tokens import TokenClient
from uq_harness.errors import UQHarnessError

PROMPT = tuple(demo()[1]("Who wrote the book?")["input_ids"])


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with serving_tokens() as found:
        yield found


def client(server: TokenServer, **settings: Any) -> TokenClient:
    return TokenClient(ServerEndpoint(NAME, server.url, **{"backoff": 0.0, "retries": 3, **settings}))


def opened(server: TokenServer, journal: Journal | None = None, **settings: Any) -> ServerEngine:
    asked = client(server, **settings)
    return open_server(asked, Completions(NAME, asked.root), journal, PROMPT)


def changed(server: TokenServer, body: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> Response:
    """A reply with a change in it."""
    reply = json.loads(server.completion(body).body)
    change(reply)
    return Response(json.dumps(reply).encode())


def lacking(server: TokenServer) -> set[Ability]:
    found = opened(server)
    return {ability for ability in Ability if found.lacks(ability) is not None}


def test_a_server_like_vllm_s_lacks_nothing_and_is_found_so_by_five_requests(server: TokenServer) -> None:
    assert lacking(server) == set()
    assert server.tried == 5
    found = opened(server)
    assert found.most_alternatives == 20
    told = found.describe()["server"]
    first = told.pop("first_written")
    assert len(first["logprobs"]) == 5
    assert max(first["logprobs"], key=first["logprobs"].get) == first["written"]
    assert told == {
        "base_url": server.url,
        "model": NAME,
        "served_model": "demo",
        "system_fingerprint": "stub-1",
        "own_log_probabilities": True,
        "lacking": [],
    }
    assert found.server.max_length == 1024


@pytest.mark.parametrize(
    ("switch", "value", "abilities", "way_out"),
    [
        ("after_temperature", True, {Ability.OWN_LAW}, "--logprobs-mode raw_logprobs"),
        ("most", 0, {Ability.ALTERNATIVES, Ability.FORCED_ALTERNATIVES}, "--max-logprobs 20"),
        ("forced", False, {Ability.FORCED, Ability.FORCED_ALTERNATIVES}, "prompt_logprobs"),
        ("seeded", False, {Ability.SEEDS}, "heeds the seed"),
        ("sentinel", True, {Ability.LOGPROBS, Ability.OWN_LAW}, "such as vLLM"),
    ],
)
def test_what_a_server_lacks_is_found_by_effect(
    server: TokenServer, switch: str, value: Any, abilities: set[Ability], way_out: str
) -> None:
    setattr(server, switch, value)
    assert lacking(server) == abilities
    assert any(way_out in (opened(server).lacks(ability) or "") for ability in abilities)


def test_a_server_that_tells_five_alternatives_is_asked_for_five(server: TokenServer) -> None:
    server.most = 5
    assert opened(server).most_alternatives == 5
    assert lacking(server) == set()


def test_a_server_that_takes_small_seeds_only_does_not_sample(server: TokenServer) -> None:
    def small(body: dict[str, Any], _: int) -> Response | None:
        return fails(400, "seed is too large") if body["seed"] >= 2**32 else None

    server.before = small
    assert lacking(server) == {Ability.SEEDS}
    assert "seed is too large" in (opened(server).lacks(Ability.SEEDS) or "")


@pytest.mark.parametrize(("wanted", "most", "told"), [(30, 50, 30), (30, 20, 20), (13, 15, 13), (13, 10, 10)])
def test_as_many_alternatives_as_are_needed_are_asked_for_too(
    server: TokenServer, wanted: int, most: int, told: int
) -> None:
    server.most = most
    asked = client(server)
    found = open_server(asked, Completions(NAME, asked.root), None, PROMPT, wanted)
    assert found.most_alternatives == told
    assert found.lacks(Ability.FORCED_ALTERNATIVES) is None


def test_replies_are_those_of_the_model_behind_the_server(server: TokenServer) -> None:
    found, own = opened(server), engine()
    for request in (
        TokenRequest(PROMPT, max_tokens=9, end_ids=(2,), top=3),
        TokenRequest(PROMPT, max_tokens=9, count=4, temperature=0.8, top_p=0.9, top_k=7, seed=2**61),
        TokenRequest(PROMPT, max_tokens=0, forced=3, forced_top=5),
        TokenRequest(PROMPT, max_tokens=9, stop_strings=("e",)),
    ):
        reply, expected = found.ask(request), own.ask(request)
        assert [one.token_ids for one in reply.choices] == [one.token_ids for one in expected.choices]
        for one, other in zip(reply.choices, expected.choices, strict=True):
            assert one.logprobs.tolist() == other.logprobs.tolist()
            assert one.ended == other.ended
        if request.forced:
            assert reply.forced is not None
            assert expected.forced is not None
            assert reply.forced.tolist() == expected.forced.tolist()
            assert [row.tolist() for row in reply.forced_top] == [
                sorted(row.tolist(), reverse=True)[:5] for row in expected.forced_top
            ]


def test_what_a_server_does_not_tell_is_nan(server: TokenServer) -> None:
    server.sentinel = True
    reply = opened(server).ask(TokenRequest(PROMPT, max_tokens=3))
    assert all(map(math.isnan, reply.choices[0].logprobs))
    assert all(map(math.isnan, from_text(as_text(reply)).choices[0].logprobs))


@pytest.mark.parametrize("failure", [HALF_A_BODY, HANG_UP, fails(503), fails(429, retry_after="0")])
def test_what_passes_is_tried_again(server: TokenServer, failure: Response | str) -> None:
    found = opened(server)
    begin = server.tried
    server.before = lambda _, number: failure if number < begin + 2 else None
    reply = found.ask(TokenRequest(PROMPT, max_tokens=3))
    assert reply.choices
    assert server.tried == begin + 3
    assert reply.usage.requests == 3


def test_a_refused_request_concerns_one_question_and_a_wrong_key_all(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-" + "x1" * 20
    monkeypatch.setenv("MY_KEY", key)
    found = opened(server, api_key_env="MY_KEY")
    assert set(server.keys) == {f"Bearer {key}"}
    server.before = lambda *_: fails(400, "too long")
    with pytest.raises(QuestionRefusedError, match="too long"):
        found.ask(TokenRequest(PROMPT, max_tokens=3))
    server.before = lambda *_: fails(401, f"no such key: {key}")
    begin = server.tried
    with pytest.raises(EndpointError, match="check the key in MY_KEY") as caught:
        found.ask(TokenRequest(PROMPT, max_tokens=3))
    assert server.tried == begin + 1
    assert key not in repr(caught.value)
    assert caught.value.__context__ is None


def read_more(reply: dict[str, Any], tokens: int) -> None:
    """Makes it the reply of a server that does not say which tokens it read, and read some more."""
    del reply["choices"][0]["prompt_token_ids"]
    reply["usage"]["prompt_tokens"] += tokens


def test_a_server_that_tells_only_how_many_tokens_it_read_is_taken(server: TokenServer) -> None:
    found = opened(server)
    server.before = lambda body, _: changed(server, body, lambda reply: read_more(reply, 0))
    assert found.ask(TokenRequest(PROMPT, max_tokens=3)).choices


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda reply: reply["choices"].pop(), "no answers|0 answers"),
        (lambda reply: reply["choices"][0]["token_ids"].append(5), "allowed|log-probabilities came back"),
        (lambda reply: reply["choices"][0]["logprobs"]["token_logprobs"].pop(), "log-probabilities came back"),
        (lambda reply: reply["choices"][0]["prompt_token_ids"].pop(), "not the 5|not the"),
        (lambda reply: read_more(reply, 1), "the server read 6 tokens, and the prompt has 5|and the prompt has"),
        (lambda reply: reply["choices"][0].pop("index"), "not those of a completion"),
        (lambda reply: reply.pop("choices"), "no answers"),
    ],
)
def test_a_reply_that_does_not_fit_its_request_is_an_error(server: TokenServer, change: Any, said: str) -> None:
    found = opened(server)
    server.before = lambda body, _: changed(server, body, change)
    with pytest.raises(EndpointError, match=said):
        found.ask(TokenRequest(PROMPT, max_tokens=3))


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_answer_that_the_server_gave_up_is_none(server: TokenServer, reason: str) -> None:
    found = opened(server)
    server.before = lambda body, _: with_reason(server, body, reason)
    with pytest.raises(EndpointError, match=f"gave the request up .*{reason}"):
        found.ask(TokenRequest(PROMPT, max_tokens=5))


def test_an_answer_that_the_server_cut_before_the_limit_is_refused(server: TokenServer) -> None:
    found = opened(server)
    server.before = lambda body, _: with_reason(server, {**body, "max_tokens": 3}, "length")
    with pytest.raises(QuestionRefusedError, match="cut an answer after 3 tokens, and 5 were allowed"):
        found.ask(TokenRequest(PROMPT, max_tokens=5))
    assert len(found.ask(TokenRequest(PROMPT, max_tokens=3)).choices[0].token_ids) == 3


def with_reason(server: TokenServer, body: dict[str, Any], reason: str) -> Response:
    reply = json.loads(server.completion(body).body)
    for choice in reply["choices"]:
        choice["finish_reason"] = reason
    return Response(json.dumps(reply).encode())


def test_a_tokenizer_that_is_not_the_server_s_is_refused(server: TokenServer) -> None:
    _, tokenizer = demo()
    asked = client(server)
    ids = tokenizer(SAMPLE)["input_ids"]
    check_tokenizer(asked, Completions(NAME, asked.root), "demo", ids, None, {})
    server.shift = 1
    with pytest.raises(UQHarnessError, match="tokenizer=demo is not that of the model demo-model"):
        check_tokenizer(asked, Completions(NAME, asked.root), "demo", ids, None, {})


def test_the_journal_answers_for_a_server_that_is_switched_off(tmp_path: Path) -> None:
    request = TokenRequest(PROMPT, max_tokens=9, count=3, temperature=1.0, seed=5, top=2)
    with serving_tokens() as server:
        found = opened(server, Journal(tmp_path / "j"))
        first = found.ask(request)
        answered = len(server.bodies)
        again = opened(server, Journal(tmp_path / "j")).ask(request)
        assert len(server.bodies) == answered + 5  # the probes of the second start
        server.before = lambda *_: fails(500)
        with pytest.raises(EndpointError, match="keeps failing"):
            found.ask(TokenRequest(PROMPT, max_tokens=8))
    switched_off = opened(server, Journal(tmp_path / "j"), retries=0)
    assert not switched_off.server.reached
    for reply in (again, switched_off.ask(request)):
        assert [one.token_ids for one in reply.choices] == [one.token_ids for one in first.choices]
        assert reply.choices[1].logprobs.tolist() == first.choices[1].logprobs.tolist()
        assert reply.choices[0].top == first.choices[0].top
        assert reply.usage.requests == 0
    assert switched_off.describe() == found.describe()
    with pytest.raises(EndpointError, match="cannot be reached"):
        switched_off.ask(TokenRequest(PROMPT, max_tokens=4))


def test_the_journal_is_bound_to_its_server(tmp_path: Path, server: TokenServer) -> None:
    opened(server, Journal(tmp_path / "j"))
    server.fingerprint = "stub-2"
    with pytest.raises(UQHarnessError, match="system_fingerprint was 'stub-1' and is now 'stub-2'"):
        opened(server, Journal(tmp_path / "j"))


def shifted(reply: dict[str, Any], nats: float) -> None:
    """Makes it the reply of another model, whose values differ a little."""
    for choice in reply["choices"]:
        told = choice["logprobs"] or {"token_logprobs": [], "top_logprobs": []}
        told["token_logprobs"] = [value + nats for value in told["token_logprobs"]]
        rows = told["top_logprobs"] or []
        told["top_logprobs"] = [{name: value + nats for name, value in row.items()} for row in rows] or None
        for row in (choice.get("prompt_logprobs") or [None])[1:]:
            for one in row.values():
                one["logprob"] += nats


def test_another_model_at_the_same_address_is_known_by_its_first_token(tmp_path: Path, server: TokenServer) -> None:
    """Servers that call themselves nothing: SGLang's and llama.cpp's."""
    server.fingerprint = ""
    opened(server, Journal(tmp_path / "j"))
    server.before = lambda body, _: changed(server, body, lambda reply: shifted(reply, -0.05))
    opened(server, Journal(tmp_path / "j"))  # noise of 16-bit types
    server.before = lambda body, _: changed(server, body, lambda reply: shifted(reply, -0.5))
    with pytest.raises(UQHarnessError, match=r"first_written was .* and is now"):
        opened(server, Journal(tmp_path / "j"))


def test_what_an_earlier_run_paid_is_told_once(tmp_path: Path, server: TokenServer) -> None:
    request = TokenRequest(PROMPT, max_tokens=9)
    found = opened(server, Journal(tmp_path / "j"))
    paid = found.ask(request).usage
    assert found.ask(request).usage == Usage()
    later = opened(server, Journal(tmp_path / "j"))
    assert later.ask(request).usage == Usage(
        kept_prompt_tokens=paid.prompt_tokens, kept_completion_tokens=paid.completion_tokens
    )
    assert later.ask(request).usage == Usage()


def test_alternatives_of_another_place_are_none(server: TokenServer) -> None:
    def off_by_one(reply: dict[str, Any]) -> None:
        for choice in reply["choices"]:
            rows = choice.get("prompt_logprobs")
            if rows:
                own = zip(map(str, choice["prompt_token_ids"][1:]), rows[1:], strict=True)
                moved = [{**(before or {}), token: row[token]} for before, (token, row) in zip(rows, own, strict=False)]
                choice["prompt_logprobs"] = [None, *moved]

    server.before = lambda body, _: changed(server, body, off_by_one)
    assert lacking(server) == {Ability.FORCED_ALTERNATIVES}
    assert "beside the same one when it writes it" in (opened(server).lacks(Ability.FORCED_ALTERNATIVES) or "")


def test_values_of_a_token_that_is_nearly_certain_do_not_show_whose_they_are(server: TokenServer) -> None:
    """A server without likeliest tokens, whose values are those after temperature."""
    chat = tuple(prompts(1)[0].token_ids)
    (answer,) = engine().ask(TokenRequest(chat, max_tokens=12)).choices
    certain = int(answer.logprobs.argmax())
    assert answer.logprobs[certain] > -0.1
    server.most, server.after_temperature = 0, True
    asked = client(server)
    for server.forced in (True, False):
        found = open_server(asked, Completions(NAME, asked.root), None, (*chat, *answer.token_ids[:certain]))
        assert found.lacks(Ability.OWN_LAW) is not None


def test_the_journal_holds_neither_texts_nor_keys(
    tmp_path: Path, server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-" + "y2" * 20
    monkeypatch.setenv("MY_KEY", key)
    found = opened(server, Journal(tmp_path / "j"), api_key_env="MY_KEY")
    reply = found.ask(TokenRequest(PROMPT, max_tokens=9, end_ids=(2,)))
    text = demo()[1].decode(list(reply.choices[0].token_ids), skip_special_tokens=True)
    assert len(text) > 3
    with sqlite3.connect(tmp_path / "j") as database:
        kept = "\n".join(
            str(row) for table in ("replies", "facts") for row in database.execute(f"SELECT * FROM {table}")
        )
    assert str(list(reply.choices[0].token_ids)).replace(" ", "") in kept
    assert key not in kept
    assert text not in kept
    assert "MY_KEY" not in kept


def test_the_journal_keeps_of_given_tokens_those_that_are_wanted(tmp_path: Path, server: TokenServer) -> None:
    """The server replies with all 500 tokens of the prompt, and 20 others in the place of each."""
    prompt = (PROMPT * 500)[:500]
    found = opened(server, Journal(tmp_path / "j"))
    reply = found.ask(TokenRequest(prompt, max_tokens=0, forced=3, forced_top=20))
    assert reply.forced is not None
    assert reply.forced.shape == (3,)
    with sqlite3.connect(tmp_path / "j") as database:
        (longest,) = database.execute("SELECT max(length(reply)) FROM replies").fetchone()
    numbers = 3 + 3 * 20
    assert numbers < longest < 25 * numbers + 200


def test_equal_requests_go_once_without_a_journal_too(server: TokenServer) -> None:
    found = opened(server)
    begin = server.tried
    for _ in range(3):
        found.ask(TokenRequest(PROMPT, max_tokens=3))
    assert server.tried == begin + 1


def test_another_version_in_the_middle_is_said(server: TokenServer, caplog: pytest.LogCaptureFixture) -> None:
    found = opened(server)
    server.fingerprint = "stub-2"
    with caplog.at_level(logging.WARNING):
        found.ask(TokenRequest(PROMPT, max_tokens=3))
    assert "calls itself 'stub-2' and called itself 'stub-1' before" in caplog.text


def test_an_endpoint_that_takes_no_tokens_is_refused(server: TokenServer) -> None:
    server.before = lambda *_: fails(400, "prompt must be a string")
    with pytest.raises(EndpointError, match=r"prompt must be a string.*must take a prompt as token ids"):
        opened(server)
