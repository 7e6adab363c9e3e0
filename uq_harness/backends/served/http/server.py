"""An engine behind HTTP: requests with retries, replies kept and never paid twice, abilities found out by probes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from uq_harness.backends.served.drivers import in_threads
from uq_harness.backends.served.engine import Ability, Steps
from uq_harness.backends.served.http.dialect import Dialect, UnexpectedReplyError
from uq_harness.backends.served.http.kept import KeptReplies
from uq_harness.backends.served.http.parts import in_parts
from uq_harness.backends.served.http.probes import Findings, probe
from uq_harness.backends.served.requests import QuestionRefusedError, TokenReply, TokenRequest
from uq_harness.endpoints.failures import EndpointDown, EndpointError, RequestRefused
from uq_harness.endpoints.first_token import NAME
from uq_harness.endpoints.journal import Journal, check_server, request_hash
from uq_harness.endpoints.models import served_model
from uq_harness.endpoints.tokens import TokenClient

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Server:
    """What is known of a server.

    Attributes:
        identity: What its replies depend on: address, model, version, whose values it tells, its first token.
        findings: What it gives.
        max_length: The context of its model in tokens; ``None`` where it does not tell.
        reached: Whether it is there; else the journal has told the rest.
    """

    identity: Mapping[str, Any]
    findings: Findings
    max_length: int | None
    reached: bool


@dataclass(frozen=True)
class Properties:
    """What a server of some kind tells about itself.

    Attributes:
        identity: What further its replies depend on, such as its build.
        max_length: The context of its model in tokens; ``None`` where it does not tell.
    """

    identity: Mapping[str, Any] = field(default_factory=dict)
    max_length: int | None = None


class Sender:
    """Sends token requests in a dialect, and notices which version of a server replies.

    Args:
        client: Sends the requests.
        dialect: How the server puts them.
    """

    def __init__(self, client: TokenClient, dialect: Dialect) -> None:
        self.client, self.dialect = client, dialect
        self.fingerprint: str | None = None

    def ask(self, request: TokenRequest) -> TokenReply:
        """The server's reply, put together of those to its parts.

        Raises:
            EndpointError: The server cannot be used any more.
            QuestionRefusedError: It refuses this very request.
            UnexpectedReplyError: What came back is not the reply to it.
        """
        parts = self.dialect.parts(request)
        return in_parts(parts, self._send) if len(parts) > 1 else self._send(parts[0])

    def _send(self, request: TokenRequest) -> TokenReply:
        begun = time.perf_counter()
        try:
            content, requests = self.client.send(self.dialect.path, self.dialect.body(request))
        except RequestRefused as error:
            raise QuestionRefusedError(str(error)) from None
        reply = self.dialect.read(content, request)
        self._look_at(content.get("system_fingerprint"))
        return replace(reply, usage=replace(reply.usage, requests=requests, seconds=time.perf_counter() - begun))

    def _look_at(self, fingerprint: Any) -> None:
        if not isinstance(fingerprint, str):
            return
        if self.fingerprint not in (None, fingerprint):
            log.warning(
                "the endpoint %s calls itself %r and called itself %r before: later answers may be another version's",
                *(self.client.endpoint.url, fingerprint, self.fingerprint),
            )
        self.fingerprint = fingerprint


class ServerEngine:
    """Answers token requests by a server; see `Engine`. `open_server` makes one.

    Args:
        sender: Sends the requests.
        server: What is known of the server.
        journal: Where replies are kept; ``None`` for the last few in memory.
    """

    def __init__(self, sender: Sender, server: Server, journal: Journal | None) -> None:
        self._sender, self.server = sender, server
        self._replies = KeptReplies(journal)
        self.most_alternatives = server.findings.most_alternatives

    def lacks(self, ability: Ability) -> str | None:
        """Why an ability cannot be had; see `Engine`."""
        why = self.server.findings.lacking.get(ability)
        return None if why is None else f"{why}: {self._sender.dialect.ways_out[ability]}"

    def drive(
        self, work: Iterable[Callable[[], Steps[T]]], at_a_time: int
    ) -> Iterator[tuple[int, T | QuestionRefusedError]]:
        """Does pieces of work; see `Engine`."""
        client = self._sender.client
        try:
            yield from in_threads(self.ask, work, at_a_time, client.endpoint.concurrency, stop=client.stop)
        finally:
            client.go_on()

    def ask(self, request: TokenRequest) -> TokenReply:
        """The reply to a request: a known one, else the server's.

        Raises:
            EndpointError: The server cannot be used any more.
            QuestionRefusedError: It refuses this very request.
        """
        url = self._sender.client.endpoint.url
        # the request too: a dialect may read a reply by what it does not send, such as end tokens
        key = request_hash(url, {"sent": self._sender.dialect.body(request), "asked": vars(request)})
        known = self._replies.get(key)
        if known is not None:
            return known
        try:
            reply = self._sender.ask(request)
        except UnexpectedReplyError as error:
            raise EndpointError(f"the endpoint {url} sent a reply that does not fit its request: {error}") from None
        self._replies.put(key, reply)
        return reply

    def describe(self) -> dict[str, Any]:
        """What the server is known by, and what it does not give."""
        lacking = [ability.name.lower() for ability in self.server.findings.lacking]
        return {"server": {**self.server.identity, "lacking": lacking}}


def open_server(
    client: TokenClient,
    dialect: Dialect,
    journal: Journal | None,
    probe_ids: Sequence[int],
    alternatives: int = 0,
    properties: Callable[[TokenClient], Properties] = lambda _: Properties(),
) -> ServerEngine:
    """Finds out what a server gives, by a few tiny requests.

    Args:
        client: Sends the requests.
        dialect: How the server puts them.
        journal: Where replies are kept; ``None`` for nowhere. Of a server that is switched off, it tells what it gave.
        probe_ids: The tokens of a short text.
        alternatives: How many likeliest tokens will be needed.
        properties: Asks for what servers of the kind tell about themselves.

    Raises:
        UQHarnessError: The server cannot be used, does not take prompts as tokens, or is not that of the journal.
    """
    sender = Sender(client, dialect)
    try:
        model, told = served_model(client), properties(client)
        findings = _probe(sender, probe_ids, alternatives)
    except EndpointDown as down:
        kept = None if journal is None else _of_journal(journal)
        if kept is None:
            raise
        log.warning("%s; going on with the replies of the journal", down)
        return ServerEngine(sender, kept, journal)
    identity = {
        "base_url": client.endpoint.url,
        "model": client.endpoint.model,
        "served_model": model.root,
        "system_fingerprint": sender.fingerprint,
        "own_log_probabilities": Ability.OWN_LAW not in findings.lacking,
        NAME: findings.first_token,
        **told.identity,
    }
    max_length = model.max_length or told.max_length
    if journal is not None:
        check_server(journal, identity)
        journal.note("findings", {"max_length": max_length, **findings.plain()})
    return ServerEngine(sender, Server(identity, findings, max_length, reached=True), journal)


def _probe(sender: Sender, probe_ids: Sequence[int], alternatives: int) -> Findings:
    endpoint = sender.client.endpoint
    try:
        return probe(sender.ask, probe_ids, alternatives)
    except UnexpectedReplyError as error:
        raise EndpointError(
            f"the endpoint {endpoint.url} cannot be asked by tokens: {error}. It must take a prompt as token ids and "
            "tell the tokens that it writes, as vLLM does"
        ) from None
    except QuestionRefusedError as error:
        raise EndpointError(f"{error}: it must take a prompt as token ids, as vLLM does") from None


def _of_journal(journal: Journal) -> Server | None:
    """What a journal knows about its server."""
    findings, identity = journal.fact("findings"), journal.fact("server")
    if findings is None or identity is None:
        return None
    return Server(identity, Findings.of(findings), findings["max_length"], reached=False)
