"""The client for bodies of plain JSON: addresses, large replies, pace."""

import json
import threading
import time

import pytest

from tests.endpoints.servers import fails, serving
from tests.http_server import Response
from uq_harness.endpoints.failures import EndpointError, RequestRefused
from uq_harness.endpoints.models import served_model
from uq_harness.endpoints.pace import Pace
from uq_harness.endpoints.settings import ServerEndpoint
from uq_harness.endpoints.tokens import TokenClient

BODY = {"messages": [{"content": "x"}], "prompt": [1, 2], "top_k": -1}


def test_a_body_goes_as_it_is_and_a_large_reply_comes_back() -> None:
    large = {"values": list(range(2_000_000))}
    with serving(lambda *_: Response(json.dumps(large).encode())) as server:
        client = TokenClient(ServerEndpoint("m", server.url, backoff=0.0))
        assert client.post("/completions", BODY) == large
        assert client.post(f"{client.root}/elsewhere", BODY) == large
    assert server.bodies == [BODY, BODY]
    assert client.root == server.url.removesuffix("/v1")


@pytest.mark.parametrize("content", [b"[1]", b"{", b"", b"[" * 200_000])
def test_what_is_no_json_object_is_an_error(content: bytes) -> None:
    with serving(lambda *_: Response(content)) as server:
        client = TokenClient(ServerEndpoint("m", server.url, backoff=0.0, retries=1))
        with pytest.raises(EndpointError, match="something else than a completion"):
            client.post("/completions", BODY)
    assert len(server.bodies) == 2


@pytest.mark.parametrize("status", [400, 413, 422, 501])
def test_a_refused_request_is_not_sent_again(status: int) -> None:
    with serving(lambda *_: fails(status)) as server, pytest.raises(RequestRefused):
        TokenClient(ServerEndpoint("m", server.url, backoff=0.0)).post("/completions", BODY)
    assert len(server.bodies) == 1


def test_a_timeout_names_lm_eval_s_arguments() -> None:
    with serving(lambda *_: "hang") as server:
        client = TokenClient(ServerEndpoint("m", server.url, timeout=0.2, retries=0))
        with pytest.raises(EndpointError, match="raise timeout, or lower num_concurrent"):
            client.post("/completions", BODY)


def test_a_model_that_the_endpoint_does_not_list_is_named_with_those_it_lists() -> None:
    with serving(lambda *_: fails(404), models=("judge-7b", "m2")) as server:
        assert served_model(TokenClient(ServerEndpoint("m2", server.url))).max_length is None
        with pytest.raises(EndpointError, match=r"does not know the model 'judge-7'.*judge-7b, m2"):
            served_model(TokenClient(ServerEndpoint("judge-7", server.url)))


def test_requests_keep_the_pace_and_stop_at_once() -> None:
    stopped = threading.Event()
    pace = Pace(1200)  # one in 50 ms
    begun = time.monotonic()
    for _ in range(4):
        pace.wait(stopped)
    assert time.monotonic() - begun >= 0.15
    stopped.set()
    slow = Pace(1)
    assert [slow.wait(stopped) for _ in range(3)] == [True, False, False]  # else two minutes


def test_a_request_that_waited_for_its_turn_is_not_sent_when_the_run_ends() -> None:
    with serving(lambda *_: Response(b"{}")) as server:
        client = TokenClient(ServerEndpoint("m", server.url, requests_per_minute=1, retries=3))
        client.post("/completions", BODY)
        client.stop()
        with pytest.raises(EndpointError, match="was not asked: the run is ending"):
            client.post("/completions", BODY)
    assert len(server.bodies) == 1


def test_a_redirect_that_repeats_the_key_is_told_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "sk-" + "Qx4" * 12
    monkeypatch.setenv("THE_KEY", key)
    elsewhere = Response(b"", 302, headers={"location": f"https://login.invalid/?token={key}"})
    with serving(lambda *_: elsewhere) as server:
        client = TokenClient(ServerEndpoint("m", server.url, api_key_env="THE_KEY", retries=0))
        with pytest.raises(EndpointError, match=r"redirects to https://login.invalid/\?token=\[key\]"):
            client.post("/completions", BODY)
