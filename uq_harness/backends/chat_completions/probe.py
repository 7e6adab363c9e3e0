"""Finds out by effect what a chat endpoint does with settings, and whose log-probabilities it tells.

Endpoints take unknown settings without a word, so a status says nothing: replies are compared. Requests that repeat
others have limits on tokens of their own, so that no file of replies answers them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import combinations
from typing import Any

from uq_harness.backends.chat_completions.reply import ChatChoice, ChatReply, ChatToken
from uq_harness.backends.chat_completions.request import ChatRequest, Message, TakenSettings
from uq_harness.backends.chat_completions.server import PATH, ChatServer, Client
from uq_harness.endpoints.failures import EndpointDown, RequestRefused
from uq_harness.endpoints.first_token import NAME, first_token
from uq_harness.endpoints.journal import Journal, check_server
from uq_harness.errors import UQHarnessError
from uq_harness.hub import brief

log = logging.getLogger(__name__)
# The first is open, so that samples differ from the beginning on; the second ends at once.
_OPEN: tuple[Message, ...] = ({"role": "user", "content": "Write the first sentence of a story about anything."},)
_SHORT: tuple[Message, ...] = ({"role": "user", "content": "Reply with one word: yes"},)
_TOKENS, _TOKENS_WITH_THOUGHTS = 16, 1024
_SEED = 2**61 + 1
_HOT = (2.0, 1.0)  # the first one that the endpoint takes
_TOP = 5
_TOLERANCE = 0.05  # nats: 16-bit logits move with the batch
_TELLING = -0.1  # nats: what is likelier is near 0 under any law
_NOT_GREEDY = 0.5  # nats below the likeliest token: no tie
_OPTIONAL = ("top_p", "penalties", "extensions", "seed", "logprobs", "top_logprobs", "stop")


@dataclass(frozen=True)
class Found:
    """What a chat endpoint does.

    Attributes:
        server: The endpoint with the settings that it takes.
        hot: The temperature at which samples were looked at.
        samples: Why it cannot sample, in words; ``None`` where it can.
        values: Why it tells no log-probabilities of a message's tokens; likewise.
        greedy_law: Whether those of greedy answers, and of samples at temperature 1, are the model's own.
        own_law: Whether those of all answers are.
        seeds: Whether a seed makes samples repeatable.
        ends: Whether the end-of-sequence token is among the tokens that it tells; ``None`` where it tells none.
        fingerprint: What the endpoint calls the state of its system.
        first_token: The first token that it writes, by which it is known again; ``None`` where it tells no tokens.
    """

    server: ChatServer
    hot: float = 0.0
    samples: str | None = None
    values: str | None = None
    greedy_law: bool = False
    own_law: bool = False
    seeds: bool = False
    ends: bool | None = None
    fingerprint: str = ""
    first_token: Mapping[str, Any] | None = None

    def plain(self) -> dict[str, Any]:
        """What was found as JSON values, for a journal."""
        told = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "server"}
        taken = self.server.taken
        return {**told, "limit": taken.limit, "names": sorted(taken.names), "counts": self.server.counts}

    @classmethod
    def of(cls, plain: Mapping[str, Any], client: Client, model: str) -> Found:
        """The same again."""
        told = dict(plain)
        taken = TakenSettings(told.pop("limit"), frozenset(told.pop("names")))
        return cls(ChatServer(client, model, taken, told.pop("counts")), **told)


def open_chat(client: Client, model: str, url: str, journal: Journal | None) -> Found:
    """What an endpoint does, with the journal that its replies are kept in.

    Args:
        client: Sends the requests.
        model: The name by which the endpoint knows the model.
        url: The endpoint's address.
        journal: Where replies are kept; ``None`` for nowhere. It tells what an endpoint did that is switched off.

    Raises:
        UQHarnessError: See `probe`; or the journal is that of another endpoint.
    """
    identity = {"base_url": url, "model": model, "route": "chat"}
    try:
        found = probe(client, model)
    except EndpointDown as down:
        known = None if journal is None else journal.fact("chat")
        if known is None:
            raise
        assert journal is not None
        check_server(journal, identity)
        log.warning("%s; going on with the replies of the journal", down)
        found = Found.of(known, client, model)
    else:
        if journal is not None:
            check_server(journal, {**identity, NAME: found.first_token})
            _warn_of_another_state(url, journal.fact("chat"), found)
            journal.note("chat", found.plain())
    return replace(found, server=replace(found.server, journal=journal))


def _warn_of_another_state(url: str, then: Mapping[str, Any] | None, now: Found) -> None:
    """Says where an endpoint calls the state of its system something else, which hosted ones do every few days."""
    before = "" if then is None else then["fingerprint"]
    if before and now.fingerprint and before != now.fingerprint:
        log.warning(
            "the endpoint %s calls itself %r and called itself %r in the run of the journal: the run goes on, and "
            "later answers may be another version's",
            *(url, now.fingerprint, before),
        )


def probe(client: Client, model: str) -> Found:
    """Asks an endpoint a dozen small things.

    Args:
        client: Sends the requests.
        model: The name by which the endpoint knows the model.

    Raises:
        UQHarnessError: It takes no temperature, or does not honour temperature 0; it gives no text.
        EndpointError: It cannot be used.
    """
    asking = _Asking(ChatServer(client, model, _taken_settings(client, model)))
    first = asking.ask(0.0)
    if not _said(first.choices[0]):
        asking = replace(asking, tokens=_TOKENS_WITH_THOUGHTS)
        first = asking.ask(0.0)
    greedy = first.choices[0]
    others = [asking.one(0.0, seed=i, more=i) for i in (1, 2)]
    _check_greedy(model, greedy, *others)
    values = _no_values(greedy, *others)
    found = Found(asking.server, values=values, fingerprint=first.fingerprint, first_token=_first_token(greedy))
    if values is None:
        found = replace(found, ends=_tells_the_end(asking))
    return _with_samples(found, asking, greedy)


def cut_works(found: Found, name: str) -> bool:
    """Whether an endpoint draws from the likeliest tokens only when it is told to.

    Args:
        found: The endpoint.
        name: ``top_p`` or ``top_k``.
    """
    if ("extensions" if name == "top_k" else name) not in found.server.taken.names:
        return False
    asking = _Asking(found.server)
    value = 0.001 if name == "top_p" else 1
    try:
        drawn = [asking.one(found.hot, seed=70 + i, more=i, **{name: value}) for i in range(3)]
    except RequestRefused as error:
        log.debug("%s is refused: %s", name, error)
        return False
    return all(_agree(one, other) for one, other in combinations(drawn, 2))


@dataclass(frozen=True)
class _Asking:
    server: ChatServer
    tokens: int = _TOKENS

    def ask(self, temperature: float, seed: int = 0, more: int = 0, **settings: Any) -> ChatReply:
        request = ChatRequest(_OPEN, self.tokens + more, temperature, seed=_SEED + seed, logprobs=True, top=_TOP)
        return self.server.send(replace(request, **settings))

    def one(self, temperature: float, seed: int = 0, more: int = 0, **settings: Any) -> ChatChoice:
        return self.ask(temperature, seed, more, **settings).choices[0]


def _taken_settings(client: Client, model: str) -> TakenSettings:
    """The settings that the endpoint does not refuse."""

    def takes(taken: TakenSettings) -> bool:
        request = ChatRequest(_OPEN, _TOKENS, seed=_SEED, stop_strings=("\n\n\n",), logprobs=True, top=_TOP)
        try:
            client.post(PATH, taken.body(request, model))
        except RequestRefused as error:
            log.debug("refused with %s: %s", ", ".join([taken.limit, *sorted(taken.names)]), error)
            refusals.append(error)
            return False
        return True

    refusals: list[RequestRefused] = []
    limits = (TakenSettings(), TakenSettings(limit="max_completion_tokens"))
    taken = next((one for one in limits if takes(one)), None)
    if taken is None:
        _check_temperature(client, model)
        raise refusals[0]
    if takes(replace(taken, names=frozenset(_OPTIONAL))):
        return replace(taken, names=frozenset(_OPTIONAL))
    return replace(taken, names=frozenset(name for name in _OPTIONAL if takes(taken.plus(name))))


def _check_temperature(client: Client, model: str) -> None:
    """Raises an error where an endpoint takes requests if only they leave the temperature to it."""
    body = TakenSettings(limit="max_completion_tokens").body(ChatRequest(_OPEN, _TOKENS), model)
    del body["temperature"]
    try:
        client.post(PATH, body)
    except RequestRefused:
        return
    raise UQHarnessError(
        f"the model {model} takes no temperature, as models that think before they answer do, and so it samples every "
        "answer. Uncertainty is that of the greedy answer, which cannot be had there: name another model"
    )


def _check_greedy(model: str, *answers: ChatChoice) -> None:
    """Raises an error where greedy answers of different seeds differ as samples do, or there are none."""
    if not any(map(_said, answers)):
        raise UQHarnessError(f"the model {model} writes no text: name another model")
    if any(_agree(one, other) for one, other in combinations(answers, 2)) and not any(map(_was_drawn, answers)):
        return
    one, other, *_ = (repr(brief(_said(answer))) for answer in answers)
    raise UQHarnessError(
        f"the model {model} does not honour temperature 0: it answers one question with {one} and with {other}. "
        "Uncertainty is that of the greedy answer, which cannot be had there: name another model, or a server that "
        "takes prompts as tokens"
    )


def _first_token(greedy: ChatChoice) -> dict[str, Any] | None:
    if not greedy.tokens:
        return None
    token = greedy.tokens[0]
    ranked = sorted(token.top.items(), key=lambda one: math.inf if math.isnan(one[1]) else -one[1])
    return first_token(token.text, token.logprob, dict(ranked))


def _no_values(*answers: ChatChoice) -> str | None:
    """Why log-probabilities of a message's tokens are not told; ``None`` where they are."""
    if any(answer.thoughts for answer in answers):
        return (
            "log-probabilities of the message's tokens: the endpoint moves what the model thinks out of the message, "
            "and its log-probabilities are those of the thoughts too (turn thinking off, or use a server that takes "
            "prompts as tokens)"
        )
    if not any(answer.tokens for answer in answers):
        return (
            "log-probabilities, which this endpoint does not tell (name a model whose log-probabilities it tells, or "
            "use a server that takes prompts as tokens)"
        )
    return None


def _tells_the_end(asking: _Asking) -> bool | None:
    """Whether the end-of-sequence token is among the tokens that are told; ``None`` where no answer ended."""
    short = ChatRequest(_SHORT, 4 * _TOKENS, seed=_SEED, logprobs=True)
    answer = asking.server.send(short).choices[0]
    if not answer.ended or not answer.tokens:
        return None
    texts = answer.token_texts()[0]
    return not texts[-1] or len("".join(texts).strip()) > len(answer.text.strip())


def _with_samples(found: Found, asking: _Asking, greedy: ChatChoice) -> Found:
    """What is found out with a temperature above 0."""
    model = found.server.model
    hot = _highest(asking)
    if hot is None:
        why = f"samples, since the model {model} takes no temperature but 0 (name another model)"
        return replace(found, samples=why)
    first = asking.one(hot, seed=10)
    varies = any(not _agree(first, asking.one(hot, seed=20 + i, more=i)) for i in (1, 2))
    if not varies:
        why = f"samples, since the model {model} gives the same answer at temperature {hot:g} too (name another model)"
        return replace(found, hot=hot, samples=why)
    at_one = asking.one(1.0)
    own = found.values is None and _keeps_its_law(asking, hot, greedy)
    with_top = bool(greedy.tokens and greedy.tokens[0].top)
    greedy_law = found.values is None and (_same_law(greedy, at_one) if with_top else own)
    return replace(
        found,
        server=replace(found.server, counts=_counts(asking, hot)),
        hot=hot,
        greedy_law=greedy_law,
        own_law=own and greedy_law,
        seeds="seed" in found.server.taken.names and _agree(at_one, asking.one(1.0, more=1)),
    )


def _highest(asking: _Asking) -> float | None:
    for temperature in _HOT:
        try:
            asking.ask(temperature, seed=10)
        except RequestRefused as error:
            log.debug("temperature %g is refused: %s", temperature, error)
        else:
            return temperature
    return None


def _counts(asking: _Asking, hot: float) -> bool:
    """Whether one request gets several answers that are not copies of one."""
    try:
        choices = asking.ask(hot, seed=40, count=3).choices
    except RequestRefused:
        return False
    return len(choices) == 3 and any(not _agree(choices[0], other) for other in choices[1:])


def _keeps_its_law(asking: _Asking, hot: float, greedy: ChatChoice) -> bool:
    """Whether temperature and cuts leave log-probabilities alone."""
    try:
        return _same_law(greedy, asking.one(hot, seed=50, top_p=0.1, top_k=2))
    except RequestRefused:
        return False


def _same_law(one: ChatChoice, other: ChatChoice) -> bool:
    """Whether the log-probabilities of two answers agree, as far as the answers are the same and one token on."""
    compared: list[float] = []
    for mine, theirs in zip(one.tokens or (), other.tokens or (), strict=False):
        a, b = _told(mine), _told(theirs)
        likeliest = sorted(a.keys() & b.keys(), key=lambda text: -a[text])[:2]
        if any(abs(a[text] - b[text]) > _TOLERANCE for text in likeliest):
            return False
        compared += [a[text] for text in likeliest]
        if mine.text != theirs.text:
            break
    return any(value < _TELLING for value in compared)


def _told(token: ChatToken) -> dict[str, float]:
    told = {**token.top, token.text: token.logprob}
    return {text: value for text, value in told.items() if not math.isnan(value)}


def _was_drawn(answer: ChatChoice) -> bool:
    """Whether a token of an answer is clearly not the likeliest one."""
    return any(
        max(_told(token).values(), default=token.logprob) - token.logprob > _NOT_GREEDY for token in answer.tokens or ()
    )


def _agree(one: ChatChoice, other: ChatChoice) -> bool:
    """Whether two answers say the same, as far as the shorter one goes where its limit cut it."""
    (short, ended), (long, _) = sorted(
        ((_said(answer), answer.ended) for answer in (one, other)), key=lambda a: len(a[0])
    )
    return bool(short) and (short == long if ended else long.startswith(short))


def _said(answer: ChatChoice) -> str:
    return (answer.thoughts + answer.text).rstrip("\ufffd").strip()
