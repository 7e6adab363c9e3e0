"""Sends bodies of plain JSON to a server of an engine: completions of tokens, and what else such servers offer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from uq_harness.endpoints.client import EndpointClient
from uq_harness.endpoints.failures import NotAReply
from uq_harness.endpoints.settings import Endpoint

# Log-probabilities of a prompt's tokens take about 2 kB a token.
LARGEST_REPLY = 2**29


class TokenClient(EndpointClient):
    """Sends requests to a server that takes prompts as tokens; threads may share it.

    Bodies are sent as they are: what a request leaves out, a server fills in by the model's own defaults.

    Args:
        endpoint: Where to, and how; its ``temperature`` and ``max_tokens`` are not used, since each body has its own.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint, LARGEST_REPLY)

    @property
    def root(self) -> str:
        """The server's address, without the ``/v1`` of the API."""
        return self.endpoint.url.removesuffix("/v1")

    def post(self, url: str, body: Mapping[str, Any], retries: int | None = None) -> dict[str, Any]:
        """The reply to a body, which is a JSON object.

        Args:
            url: Where to: a path below ``base_url`` such as ``/completions``, or a whole address on the same server.
            body: What to send.
            retries: How often it is sent again; ``None`` for what the endpoint's settings say.

        Raises:
            EndpointError: The endpoint cannot be used, after all retries; `RequestRefused` where only this request
                was refused.
        """
        return self.send(url, body, retries)[0]

    def send(self, url: str, body: Mapping[str, Any], retries: int | None = None) -> tuple[dict[str, Any], int]:
        """The reply to a body, and how many requests it took; arguments and errors as those of `post`."""
        import httpx

        return self._object(lambda: self._openai.post(url, cast_to=httpx.Response, body=dict(body)), retries)

    def get(self, url: str, retries: int | None = None) -> dict[str, Any]:
        """The JSON object at an address; arguments and errors as those of `post`."""
        import httpx

        return self._object(lambda: self._openai.get(url, cast_to=httpx.Response), retries)[0]

    def _object(self, work: Any, retries: int | None) -> tuple[dict[str, Any], int]:
        def once() -> dict[str, Any]:
            try:
                found = json.loads(self._within_time(work).content)
            except (ValueError, RecursionError) as error:
                raise NotAReply(f"no JSON: {error}") from None
            if not isinstance(found, dict):
                raise NotAReply("no JSON object")
            return found

        return self._with_retries(once, self.endpoint.retries if retries is None else retries)
