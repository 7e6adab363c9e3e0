"""A chat endpoint with the settings that it takes: what sends a request and reads the reply."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from uq_harness.backends.chat_completions.kept import as_text, from_text
from uq_harness.backends.chat_completions.reply import ChatReply
from uq_harness.backends.chat_completions.request import ChatRequest, TakenSettings
from uq_harness.backends.served.requests import Usage
from uq_harness.endpoints.journal import Journal, request_hash

T = TypeVar("T")
R = TypeVar("R")
PATH = "/chat/completions"


class Client(Protocol):
    """What sends bodies of JSON, with retries; `uq_harness.endpoints` has it."""

    def post(self, url: str, body: Mapping[str, Any], retries: int | None = None) -> dict[str, Any]:
        """The reply to a body."""

    def send(self, url: str, body: Mapping[str, Any], retries: int | None = None) -> tuple[dict[str, Any], int]:
        """The reply to a body, and how many requests it took."""

    def map(self, work: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, R]]:
        """Does the work for many items at a time, each in a thread."""

    def stop(self) -> None:
        """Lets `map` begin no further item."""


@dataclass(frozen=True)
class ChatServer:
    """A chat endpoint.

    Attributes:
        client: Sends its requests.
        model: The name by which it knows the model.
        taken: The settings that it takes.
        counts: Whether one request may ask for several answers.
        journal: Where replies are kept; ``None`` for nowhere.
    """

    client: Client
    model: str
    taken: TakenSettings
    counts: bool = False
    journal: Journal | None = None

    def ask(self, request: ChatRequest) -> ChatReply:
        """The reply to a request, by as many requests as the endpoint takes; answer i has the seed ``seed + i``.

        Raises:
            EndpointError: The endpoint cannot be used; `RequestRefused` where only this request was refused.
            UQHarnessError: It replied with something else than a chat completion.
        """
        replies = [self.send(request)] if self.counts or request.count == 1 else []
        known = sum(len(reply.choices) for reply in replies)
        replies += [self.send(replace(request, count=1, seed=request.seed + i)) for i in range(known, request.count)]
        choices = tuple(choice for reply in replies for choice in reply.choices)[: request.count]
        usage = sum((reply.usage for reply in replies[1:]), replies[0].usage)
        return ChatReply(choices, usage, replies[0].fingerprint)

    def send(self, request: ChatRequest) -> ChatReply:
        """The reply to one request, with as many answers as come; errors as those of `ask`."""
        body = self.taken.body(request, self.model)
        # samples without a seed have equal bodies, and are others all the same
        key = request_hash(PATH, {**body, "sample": request.seed if request.temperature else 0})
        known = None if self.journal is None else self.journal.get(key)
        if known is not None:
            reply = from_text(known)
            return reply if self.journal is not None and self.journal.is_earlier(key) else replace(reply, usage=Usage())
        start = time.perf_counter()
        content, requests = self.client.send(PATH, body)
        reply = ChatReply.read(content)
        if self.journal is not None:
            self.journal.put(key, as_text(reply))
        return replace(reply, usage=replace(reply.usage, requests=requests, seconds=time.perf_counter() - start))
