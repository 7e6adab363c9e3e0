"""Real HTTP servers that behave as told: they answer, fail, hang, hang up, or talk nonsense."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.http_server import AnsweringHandler, Response, listening

HANG, HANG_UP, HALF_A_BODY = "hang", "hang up", "half a body"
SLOW_HEAD, SLOW_BODY = "slow head", "slow body"  # a byte now and then, so that no single wait is long
_SLOW_BYTES, _SECONDS_A_BYTE = 500, 0.02


def says(text: Any, finish_reason: str = "stop") -> Response:
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": finish_reason}]
    completion = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
    return Response(json.dumps(completion).encode())


def fails(status: int, message: str = "no", code: str | None = None, **headers: str) -> Response:
    body = json.dumps({"error": {"message": message, "code": code, "type": "error", "param": None}}).encode()
    return Response(body, status, headers={name.replace("_", "-"): value for name, value in headers.items()})


Behaviour = Callable[[str, int], Response | str]


class Server:
    """A server and what it has seen.

    Attributes:
        url: The base address for clients.
        messages: The user's messages so far.
        bodies: The requests' bodies so far.
        keys: Their Authorization headers.
        most_at_once: The most requests that were there at a time.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[dict] = []
        self.keys: list[str | None] = []
        self.most_at_once = 0

    @property
    def messages(self) -> list[str]:
        return [body["messages"][-1]["content"] for body in self.bodies]


@contextmanager
def serving(behaviour: Behaviour, models: tuple[str, ...] = ("m",)) -> Iterator[Server]:
    """Starts a server whose behaviour is a function of the message and of the request's number from 0 on."""
    closing = threading.Event()
    lock = threading.Lock()
    present = 0

    class Handler(AnsweringHandler):
        def do_GET(self) -> None:
            self.answer(Response(json.dumps({"object": "list", "data": [{"id": m} for m in models]}).encode()))

        def do_POST(self) -> None:
            nonlocal present
            body = self.read_body()
            with lock:
                number = len(server.bodies)
                server.bodies.append(body)
                server.keys.append(self.headers.get("authorization"))
                present += 1
                server.most_at_once = max(server.most_at_once, present)
            response = behaviour(body["messages"][-1]["content"], number)
            with lock:
                present -= 1
            if isinstance(response, Response):
                self.answer(response)
                return
            if response == HANG:
                closing.wait()
            if response == HALF_A_BODY:
                self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{")
            if response in (SLOW_HEAD, SLOW_BODY):
                self._send_slowly(response)
            self.close_connection = True

        def _send_slowly(self, what: str) -> None:
            body = says("late").body
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
            padding = b"x-slow: " + b"x" * _SLOW_BYTES + b"\r\n" if what == SLOW_HEAD else b""
            spaces = b" " * _SLOW_BYTES if what == SLOW_BODY else b""
            length = b"content-length: %d\r\n\r\n" % len(spaces + body)
            self.wfile.write(head)
            if what == SLOW_BODY:
                self.wfile.write(length)
            for byte in padding or spaces:
                if closing.wait(_SECONDS_A_BYTE):
                    return
                self.wfile.write(bytes([byte]))
            self.wfile.write((length if what == SLOW_HEAD else b"") + body)

    with listening(Handler) as address:
        server = Server(f"{address}/v1")
        try:
            yield server
        finally:
            closing.set()
