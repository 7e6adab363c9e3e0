"""What every HTTP server of the tests is made of: a handler that answers, and a listener that runs for a while."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Response:
    body: bytes
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class AnsweringHandler(BaseHTTPRequestHandler):
    """Reads bodies of JSON and sends responses; it keeps connections and writes no log."""

    protocol_version = "HTTP/1.1"

    def read_body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
        return body

    def answer(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("content-type", response.kind)
        self.send_header("content-length", str(len(response.body)))
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, *_: Any) -> None:
        pass


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: Any) -> None:
        """A client that went away."""


@contextmanager
def listening(handler: type[AnsweringHandler], port: int = 0) -> Iterator[str]:
    """Runs a server at a port, any free one for 0, and gives its address."""
    http = _Quiet(("127.0.0.1", port), handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
