"""A real HTTP server whose addresses are functions from bodies of JSON to bodies of JSON."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            server.bodies.append((self.path, body))
            self._answer(body)

        def _answer(self, body: dict[str, Any]) -> None:
            route = routes.get(self.path)
            try:
                status, reply = (404, {"error": "not found"}) if route is None else (200, route(body))
            except Refused as refusal:
                status, reply = 400, {"error": {"message": str(refusal), "type": "invalid_request_error"}}
            except Exception as error:
                status, reply = 500, {"error": {"message": f"the stub failed: {error!r}", "type": "server_error"}}
            written = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that went away."""

    http = Quiet(("127.0.0.1", 0), Handler)
    server = JsonServer(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
