"""A server that takes prompts as tokens, as vLLM's does: it answers from the demo model, and misbehaves as told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from tests.backends.served.demo import demo, engine
from tests.endpoints.servers import HALF_A_BODY, HANG_UP, fails
from tests.http_server import AnsweringHandler, Response, listening
from uq_harness.backends.served.requests import Choice, QuestionRefusedError, TokenReply, TokenRequest

NAME = "demo-model"
# What a request must say, so that nothing is filled in from a model's generation_config.json.
SETTINGS = {
    *("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty"),
    *("seed", "n", "max_tokens"),
}


@dataclass
class TokenServer:
    """The server and what it has seen.

    Attributes:
        after_temperature: Values are those after temperature and cuts.
        most: How many likeliest tokens it tells at most; asked for more, it refuses, as vLLM does.
        forced: Whether it knows ``prompt_logprobs``.
        seeded: Whether it heeds seeds.
        sentinel: Whether it writes -9999.0 in the place of each value of an answer.
        shift: What is added to every token of ``/tokenize``.
        template: Its own chat template; ``None`` for the demo's.
        fingerprint: What it calls itself.
        before: What it does with the request of a number in the place of an answer; ``None`` for an answer.
        bodies: The bodies of requests for completions that it answered.
        keys: The Authorization headers of all.
        tried: Number of requests for completions.
    """

    url: str = ""
    after_temperature: bool = False
    most: int = 20
    forced: bool = True
    seeded: bool = True
    sentinel: bool = False
    shift: int = 0
    template: str | None = None
    max_model_len: int | None = 1024
    fingerprint: str = "stub-1"
    before: Callable[[dict[str, Any], int], Response | str | None] = lambda body, number: None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    tried: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __post_init__(self) -> None:
        self._engine = engine()
        self._drawn = 0
        self._lock = threading.Lock()

    def completion(self, body: dict[str, Any]) -> Response:
        if isinstance(body["prompt"][0], list):  # from lm_eval's own client
            return self._plain(body)
        missing = SETTINGS - body.keys()
        if missing:
            return fails(400, f"the stub wants {missing}")
        if max(body.get("logprobs") or 0, body.get("prompt_logprobs") or 0) > self.most:
            return fails(400, f"Requested logprobs is greater than max allowed: {self.most}")
        request = self._request(body)
        written = self._engine.ask(request)
        choices = [self._choice(body, number, one) for number, one in enumerate(written.choices)]
        choices[0]["prompt_token_ids"] = body["prompt"]
        if self.forced and body.get("prompt_logprobs") is not None:
            choices[0]["prompt_logprobs"] = self._prompt_logprobs(request.prompt_ids, body["prompt_logprobs"])
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": sum(len(c["token_ids"]) for c in choices)}
        with self._lock:
            self.bodies.append(body)
            self.prompt_tokens += usage["prompt_tokens"]
            self.completion_tokens += usage["completion_tokens"]
        reply = {"choices": choices[::-1], "usage": usage, "system_fingerprint": self.fingerprint}
        return Response(json.dumps(reply).encode())

    def _request(self, body: dict[str, Any]) -> TokenRequest:
        with self._lock:
            self._drawn += 1000
        return TokenRequest(
            tuple(body["prompt"]),
            max_tokens=body["max_tokens"],
            count=body["n"],
            temperature=body["temperature"],
            top_p=body["top_p"],
            top_k=max(0, body["top_k"]),
            seed=body["seed"] if self.seeded else self._drawn,
            end_ids=tuple(body["stop_token_ids"]),
            stop_strings=tuple(body["stop"]),
            top=body.get("logprobs") or 0,
        )

    def _choice(self, body: dict[str, Any], number: int, one: Choice) -> dict[str, Any]:
        values = one.logprobs.tolist()
        top = [dict(row) for row in one.top]
        if self.after_temperature and body["temperature"]:
            values = [value / body["temperature"] for value in values]
            top = [{token: value / body["temperature"] for token, value in row.items()} for row in top]
        if self.sentinel:
            values = [-9999.0 for _ in values]
        ids = list(one.token_ids)
        told = None
        if body.get("logprobs") is not None:
            told = {
                "tokens": [f"token_id:{token}" for token in ids],
                "token_logprobs": values,
                "top_logprobs": [{f"token_id:{token}": value for token, value in row.items()} for row in top] or None,
            }
        return {
            "index": number,
            "text": demo()[1].decode(ids, skip_special_tokens=True),
            "token_ids": ids,
            "logprobs": told,
            "finish_reason": "stop" if one.ended else "length",
        }

    def _prompt_logprobs(self, ids: tuple[int, ...], top: int) -> list[Any]:
        read = self._read(ids, top)
        rows: list[Any] = [None]
        with torch.inference_mode():
            logprobs = demo()[0](torch.tensor([ids])).logits[0].float().log_softmax(-1)
        assert read.forced is not None
        for place, (token, own) in enumerate(zip(ids[1:], read.forced.tolist(), strict=True)):
            likeliest = logprobs[place].topk(top) if top else None
            row = (
                {}
                if likeliest is None
                else dict(zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True))
            )
            rows.append({str(one): {"logprob": value} for one, value in {**row, token: own}.items()})
        return rows

    def _read(self, ids: tuple[int, ...], top: int) -> TokenReply:
        return self._engine.ask(TokenRequest(ids, max_tokens=0, forced=len(ids) - 1, forced_top=top))

    def _plain(self, body: dict[str, Any]) -> Response:
        """What lm_eval's ``local-completions`` asks for."""
        _, tokenizer = demo()
        choices = []
        for number, ids in enumerate(body["prompt"]):
            ends = (tokenizer.eos_token_id,)
            request = TokenRequest(tuple(ids), max_tokens=body["max_tokens"], end_ids=ends, top=1)
            (one,) = self._engine.ask(request).choices
            text = tokenizer.decode(list(one.token_ids), skip_special_tokens=True)
            for stop in body.get("stop") or ():
                text = text.split(stop)[0]
            choice: dict[str, Any] = {"index": number, "text": text, "finish_reason": "stop"}
            if body.get("echo"):
                rows = self._prompt_logprobs(tuple(ids), 1)[1:]
                own = [row[str(token)]["logprob"] for row, token in zip(rows, ids[1:], strict=True)]
                top = [{name: value["logprob"] for name, value in row.items()} for row in rows]
                choice["logprobs"] = {"token_logprobs": [None, *own, -1.0], "top_logprobs": [None, *top, {"x": -1.0}]}
            choices.append(choice)
        with self._lock:
            self.bodies.append(body)
        return Response(json.dumps({"choices": choices}).encode())

    def tokens(self, body: dict[str, Any]) -> Response:
        _, tokenizer = demo()
        if "messages" in body:
            text = tokenizer.apply_chat_template(
                body["messages"], chat_template=self.template, tokenize=False, add_generation_prompt=True
            )
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        else:
            ids = tokenizer(body["prompt"])["input_ids"]
        return Response(json.dumps({"tokens": [token + self.shift for token in ids], "count": len(ids)}).encode())


@contextmanager
def serving_tokens(port: int = 0, **switches: Any) -> Iterator[TokenServer]:
    """Starts a server."""
    server = TokenServer(**switches)

    class Handler(AnsweringHandler):
        def do_GET(self) -> None:
            if self.path == "/v1/models":
                entry = {"id": NAME, "root": "demo", "max_model_len": server.max_model_len}
                self.answer(Response(json.dumps({"object": "list", "data": [entry]}).encode()))
            else:
                self.answer(Response(b"{}") if self.path == "/health" else fails(404))

        def do_POST(self) -> None:
            body = self.read_body()
            server.keys.append(self.headers.get("authorization"))
            if self.path == "/tokenize":
                self.answer(server.tokens(body))
                return
            if self.path != "/v1/completions":
                self.answer(fails(404))
                return
            with server._lock:
                number = server.tried
                server.tried += 1
            answer = server.before(body, number)
            if answer == HALF_A_BODY:
                self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{")
            if answer in (HALF_A_BODY, HANG_UP):
                self.close_connection = True
                return
            try:
                self.answer(server.completion(body) if answer is None else answer)
            except QuestionRefusedError as error:
                self.answer(fails(400, str(error)))

    with listening(Handler, port) as address:
        server.url = f"{address}/v1"
        yield server
