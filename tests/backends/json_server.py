"""A real HTTP server whose addresses are functions from bodies of JSON to bodies of JSON."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.http_server import AnsweringHandler, Response, listening


class Refused(Exception):
    """Replies with status 400 and these words."""


Route = Callable[[dict[str, Any]], Any]


class JsonServer:
    """A server and what it was sent.

    Attributes:
        root: Its address.
        bodies: The bodies so far, with their paths.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.bodies: list[tuple[str, dict[str, Any]]] = []


@contextmanager
def serving_json(routes: Mapping[str, Route]) -> Iterator[JsonServer]:
    """Starts a server; what is not among the routes is not found."""

    class Handler(AnsweringHandler):
        def do_GET(self) -> None:
            self.reply({})

        def do_POST(self) -> None:
            body = self.read_body()
            server.bodies.append((self.path, body))
            self.reply(body)

        def reply(self, body: dict[str, Any]) -> None:
            route = routes.get(self.path)
            try:
                status, reply = (404, {"error": "not found"}) if route is None else (200, route(body))
            except Refused as refusal:
                status, reply = 400, {"error": {"message": str(refusal), "type": "invalid_request_error"}}
            except Exception as error:  # a fault of the stub is said, where a broken connection would hide it
                status, reply = 500, {"error": {"message": f"the stub failed: {error!r}", "type": "server_error"}}
            self.answer(Response(json.dumps(reply).encode(), status))

    with listening(Handler) as address:
        server = JsonServer(address)
        yield server
