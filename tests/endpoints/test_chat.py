"""The client against real servers: replies, retries, failures, concurrency."""

import gzip
import json
import logging
import socket
import subprocess
import sys
import threading
import traceback
from typing import Any

import pytest

from tests.endpoints.servers import (
    HALF_A_BODY,
    HANG,
    HANG_UP,
    SLOW_BODY,
    SLOW_HEAD,
    Response,
    Server,
    fails,
    says,
    serving,
)
from uq_harness.endpoints.chat import ChatClient
from uq_harness.endpoints.failures import EndpointError, RequestRefused
from uq_harness.endpoints.settings import Endpoint
from uq_harness.errors import UQHarnessError


def client(server: Server, **settings: Any) -> ChatClient:
    return ChatClient(Endpoint("m", server.url, **{"backoff": 0.0, "retries": 3, **settings}))


def test_a_message_is_sent_with_the_settings_and_the_reply_comes_back() -> None:
    with serving(lambda message, _: says(f"you said {message}")) as server:
        reply = client(server, temperature=0.5, max_tokens=7).ask("hello")
    assert reply.text == "you said hello"
    assert not reply.cut
    assert server.bodies == [
        {"model": "m", "messages": [{"role": "user", "content": "hello"}], "temperature": 0.5, "max_tokens": 7}
    ]


def test_what_is_left_to_the_endpoint_is_not_sent() -> None:
    with serving(lambda *_: says("hi")) as server:
        client(server, temperature=None).ask("hello")
    assert server.bodies[0].keys() == {"model", "messages"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<think>\nyes or no?\n</think>\n\nno", "no"),
        ("<think> never ends", ""),
        ("yes or no?</think>\nno", "no"),
        ("one</think> two</think> yes", "yes"),
        (" yes ", "yes"),
        (None, ""),
        ("half a pair \ud800", "half a pair ?"),
    ],
)
def test_replies_are_read_without_thoughts(content: str | None, text: str) -> None:
    with serving(lambda *_: says(content)) as server:
        assert client(server).ask("hello \ud800").text == text


@pytest.mark.parametrize(
    ("think_end", "content"),
    [
        ("[/THINK]", "[THINK]yes?[/THINK]no"),
        ("[/THINK]", "yes?[/THINK] no"),
        (
            "<|channel|>final<|message|>",
            "<|channel|>analysis<|message|>yes?<|end|><|start|>assistant<|channel|>final<|message|>no",
        ),
    ],
)
def test_other_marks_of_thoughts_can_be_named(think_end: str, content: str) -> None:
    with serving(lambda *_: says(content)) as server:
        assert client(server, think_end=think_end).ask("hello").text == "no"


def test_a_reply_that_ended_at_the_limit_says_so() -> None:
    with serving(lambda *_: says("1. one", finish_reason="length")) as server:
        assert client(server).ask("hello").cut


@pytest.mark.parametrize(
    "trouble",
    [fails(500), fails(503), fails(429), fails(408), HANG_UP, HALF_A_BODY, Response(b"<html>", kind="text/html")],
)
def test_passing_trouble_is_tried_again(trouble: Response | str) -> None:
    with serving(lambda _, number: trouble if number < 2 else says("there")) as server:
        assert client(server).ask("hello").text == "there"
    assert len(server.bodies) == 3


def test_an_endpoint_that_asks_to_wait_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    import tenacity

    waited: list[float] = []
    monkeypatch.setattr(tenacity, "sleep_using_event", lambda event: waited.append)
    busy = fails(429, retry_after="7")
    with serving(lambda _, number: busy if number == 0 else says("there")) as server:
        client(server).ask("hello")
    assert waited == [7.0]


def test_waits_grow_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    import tenacity

    waited: list[float] = []
    monkeypatch.setattr(tenacity, "sleep_using_event", lambda event: waited.append)
    with serving(lambda *_: fails(500)) as server, pytest.raises(EndpointError):
        client(server, backoff=1.0, retries=12).ask("hello")
    assert len(waited) == 12
    assert all(0 <= wait <= min(60, 2.0**k) for k, wait in enumerate(waited))


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (fails(500, "out of order"), "keeps failing.*out of order"),
        (HANG_UP, "cannot be reached"),
        (HALF_A_BODY, "cannot be reached"),
        (Response(b"<html>hello</html>", kind="text/html"), "something else than a completion.*/v1"),
        (Response(b"{"), "something else than a completion"),
        (Response(b'{"choices": []}'), "something else than a completion"),
        (Response(b'{"choices": [{"message": {"content": 3}}]}'), "something else than a completion"),
        (Response(b"[]"), "something else than a completion"),
        (Response(b"null"), "something else than a completion"),
        (Response(b"[" * 200_000), "something else than a completion"),
        (Response(b" " * 9 * 2**20 + says("yes").body), r"something else than a completion \(more than 8 MB"),
        (
            Response(gzip.compress(b" " * 9 * 2**20 + says("yes").body), headers={"content-encoding": "gzip"}),
            r"something else than a completion \(more than 8 MB",
        ),
        (Response(b"no gzip", headers={"content-encoding": "gzip"}), "something else than a completion"),
        (Response(b"?", headers={"content-encoding": "br"}), "compressed by br"),
    ],
)
def test_lasting_trouble_ends_after_the_retries_with_a_message(trouble: Response | str, words: str) -> None:
    with serving(lambda *_: trouble) as server, pytest.raises(EndpointError, match=words) as error:
        client(server).ask("hello")
    assert len(server.bodies) == 4
    assert server.url in str(error.value)


def test_no_reply_in_time() -> None:
    with serving(lambda *_: HANG) as server, pytest.raises(EndpointError, match=r"within 0\.05 s: raise timeout"):
        client(server, timeout=0.05, retries=1).ask("hello")
    assert len(server.bodies) == 2


@pytest.mark.parametrize("trouble", [SLOW_HEAD, SLOW_BODY])
def test_a_reply_that_drips_in_ends_at_the_time_limit(trouble: str) -> None:
    with serving(lambda *_: trouble) as server, pytest.raises(EndpointError, match=r"within 0\.2 s: raise timeout"):
        client(server, timeout=0.2, retries=0).ask("hello")


def test_a_compressed_reply_is_read() -> None:
    zipped = Response(gzip.compress(says("there").body), headers={"content-encoding": "gzip"})
    with serving(lambda *_: zipped) as server:
        assert client(server).ask("hello").text == "there"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with serving(lambda *_: says("elsewhere")) as other:
        moved = Response(b"", status, headers={"location": f"{other.url}/chat/completions"})
        with serving(lambda *_: moved) as server, pytest.raises(EndpointError, match=f"redirects to {other.url}"):
            client(server).ask("hello")
        assert other.bodies == []


def refuses(setting: str) -> Response:
    """As OpenAI's reasoning models do."""
    message, code = {
        "max_tokens": (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
            "instead.",
            "unsupported_parameter",
        ),
        "temperature": (
            "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is "
            "supported.",
            "unsupported_value",
        ),
    }[setting]
    error = {"message": message, "code": code, "type": "invalid_request_error", "param": setting}
    return Response(json.dumps({"error": error}).encode(), 400)


def test_settings_that_a_model_does_not_take_are_replaced_or_left_out(caplog: pytest.LogCaptureFixture) -> None:
    def picky(message: str, number: int) -> Response:
        body = server.bodies[number]
        return next((refuses(name) for name in ("max_tokens", "temperature") if name in body), says(message))

    with serving(picky) as server:
        assert client(server, temperature=0.0, max_tokens=16).ask("hello").text == "hello"
        assert client(server, temperature=0.0, max_tokens=16).ask("again").text == "again"
    sent = [{name for name in body if name not in ("model", "messages")} for body in server.bodies]
    assert sent == [
        {"temperature", "max_tokens"},
        {"temperature", "max_completion_tokens"},
        {"max_completion_tokens"},
        {"max_completion_tokens"},  # what one client has learnt, the next one knows
    ]
    assert server.bodies[-1]["max_completion_tokens"] == 16
    assert caplog.text.count("refuses the setting") == 2


@pytest.mark.parametrize(
    "message", ["max_tokens is too large: 99999", "temperature must be at most 2", "the prompt is too long"]
)
def test_other_refusals_change_nothing(message: str) -> None:
    with serving(lambda *_: fails(400, message)) as server, pytest.raises(RequestRefused, match=message):
        client(server, temperature=3.0, max_tokens=99999).ask("hello")
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (fails(401, "bad key"), "refuses access .*bad key.*OPENAI_API_KEY"),
        (fails(403, "not yours"), "refuses access .*not yours"),
        (fails(404, "no such model"), "does not know the model 'm'.*lists the models m2, other"),
        (fails(429, "pay first", code="insufficient_quota"), "pay first"),
    ],
)
def test_what_will_not_pass_ends_at_once(trouble: Response, words: str) -> None:
    with serving(lambda *_: trouble, models=("other", "m2")) as server:
        with pytest.raises(EndpointError, match=words) as error:
            client(server).ask("hello")
        assert not isinstance(error.value, RequestRefused)
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_request_is_told_from_a_lost_endpoint(status: int) -> None:
    with serving(lambda *_: fails(status, "too long")) as server, pytest.raises(RequestRefused, match="too long"):
        client(server).ask("hello")
    assert len(server.bodies) == 1


def test_nobody_there_is_found_by_the_check_with_address_and_fix() -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(EndpointError, match=rf"{url} cannot be reached .*refused.*correct base_url"):
            ChatClient(Endpoint("m", url, backoff=0.0)).check()


@pytest.mark.parametrize("url", ["http://[v1.a]/v1", "http://here/" + "x" * 70_000])
def test_an_address_that_http_does_not_take_is_refused(url: str) -> None:
    with pytest.raises(UQHarnessError, match=r"base_url=.* is not allowed .*use an address such as"):
        ChatClient(Endpoint("m", url))


def test_the_check_is_one_request_and_two_where_the_first_fails() -> None:
    with serving(lambda *_: says("yes")) as server:
        client(server).check()
        assert len(server.bodies) == 1
    with serving(lambda *_: fails(500)) as server:
        with pytest.raises(EndpointError):
            client(server).check()
        assert len(server.bodies) == 2


def test_the_key_is_sent_and_shows_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MINE", "sk-secret")
    words = r"the key \[key\] is wrong.*check the key in MINE"
    wrong = fails(401, "the key sk-secret is wrong")
    with serving(lambda *_: wrong) as server, pytest.raises(EndpointError, match=words) as error:
        client(server, api_key_env="MINE").ask("hello")
    assert server.keys == ["Bearer sk-secret"]
    assert "sk-secret" not in "".join(traceback.format_exception(error.value)) + caplog.text
    assert error.value.__context__ is None  # the client's own error holds the request


@pytest.mark.parametrize(
    ("key", "said", "shown"),
    [
        ("max", "max_tokens: at most max, not maximal", r"max_tokens: at most \[key\], not maximal"),
        ("gsk-0123456789abcdef", "Xgsk-0123456789abcdefX", r"X\[key\]X"),
    ],
)
def test_a_short_key_is_not_cut_out_of_words(key: str, said: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", key)
    with serving(lambda *_: fails(400, said)) as server, pytest.raises(RequestRefused, match=shown):
        client(server, api_key_env="MINE").ask("hello")


def test_many_at_a_time_and_never_more_than_allowed() -> None:
    together = threading.Barrier(3, timeout=20)

    def behaviour(message: str, _: int) -> Response:
        together.wait()
        return says(message.upper())

    with serving(behaviour) as server:
        asked = client(server, concurrency=3)
        found = dict(asked.map(lambda text: asked.ask(text).text, [*"abcdef"]))
    assert found == {letter: letter.upper() for letter in "abcdef"}
    assert server.most_at_once == 3


def test_after_stop_nothing_further_is_begun_and_the_client_can_be_used_again() -> None:
    stopped = threading.Event()

    def behaviour(message: str, number: int) -> Response:
        if number == 1:
            stopped.wait(20)
        return says(message)

    with serving(behaviour) as server:
        asked = client(server, concurrency=1)
        seen = []
        for item, _ in asked.map(lambda text: asked.ask(text).text, [*"abcdef"]):
            seen.append(item)
            asked.stop()
            stopped.set()
        assert seen == ["a", "b"]  # what was under way is not thrown away
        assert len(dict(asked.map(lambda text: asked.ask(text).text, [*"abcdef"]))) == 6


def test_a_missing_package_is_named_with_its_pip_line() -> None:
    code = (
        "import sys; sys.modules['openai'] = None\n"
        "from uq_harness.endpoints.chat import ChatClient\n"
        "from uq_harness.endpoints.settings import Endpoint\n"
        "ChatClient(Endpoint('m', 'http://localhost/v1'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'needs the package openai: in the folder of uq-harness\'s source: pip install ".[api]"' in done.stderr


def test_nothing_heavy_is_imported_for_the_settings() -> None:
    code = (
        "import sys; from uq_harness.endpoints.settings import Endpoint;"
        "from uq_harness.endpoints.replies import ReplyCache;"
        "Endpoint('m', 'http://localhost/v1');"
        "print(sorted({'openai', 'tenacity', 'torch', 'httpx', 'httpx2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
