"""What a chat endpoint replied: texts, and the tokens that it tells, whatever shape it sends them in."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from uq_harness.backends.served.requests import Usage
from uq_harness.backends.told_logprobs import told_logprob
from uq_harness.errors import UQHarnessError


@dataclass(frozen=True)
class ChatToken:
    """A token of an answer.

    Attributes:
        text: Its text; U+FFFD or an escape where it writes a part of a character only.
        written: Its bytes; ``None`` where the endpoint does not tell them.
        logprob: Its log-probability in nats; ``nan`` where it is not told.
        top: The likeliest tokens beside it, by text.
    """

    text: str
    written: bytes | None
    logprob: float
    top: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ChatChoice:
    """One answer.

    Attributes:
        text: The message.
        thoughts: What the model thought before it, where the endpoint moves that out of the message.
        tokens: The tokens that it wrote, thoughts and end-of-sequence token included; ``None`` where none are told.
        ended: Whether it ended by itself or at a stop string.
    """

    text: str
    thoughts: str
    tokens: tuple[ChatToken, ...] | None
    ended: bool

    def token_texts(self) -> list[list[str]]:
        """The tokens' texts, read in the ways in which endpoints write them, the most exact one first.

        A token that only begins a character has no text; the one that completes the character has it whole.
        """
        tokens = self.tokens or ()
        named = [[token.text.replace("\ufffd", "") for token in tokens], [token.text for token in tokens]]
        written = [token.written for token in tokens if token.written is not None]
        if len(written) < len(tokens):
            return named
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return [[decoder.decode(one) for one in written], *named]


@dataclass(frozen=True)
class ChatReply:
    """The reply to a `ChatRequest`.

    Attributes:
        choices: The answers, in their order.
        usage: What it cost, without the time.
        fingerprint: What the endpoint calls the state of its system; empty where it does not say.
    """

    choices: tuple[ChatChoice, ...]
    usage: Usage
    fingerprint: str = ""

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> ChatReply:
        """The reply in a body.

        Raises:
            UQHarnessError: The body is not a chat completion.
        """
        try:
            choices = sorted(body["choices"], key=lambda choice: choice.get("index") or 0)
            read = tuple(_choice(choice) for choice in choices)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UQHarnessError(
                f"the endpoint replied with something else than a chat completion ({error!r}): base_url must be that "
                "of an OpenAI-compatible API; it usually ends in /v1"
            ) from None
        usage = body.get("usage") or {}
        return cls(
            read,
            Usage(
                1,
                usage.get("prompt_tokens") or 0,
                usage.get("completion_tokens") or 0,
                (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
            ),
            str(body.get("system_fingerprint") or ""),
        )


def _choice(choice: Mapping[str, Any]) -> ChatChoice:
    message = choice["message"]
    told = (choice.get("logprobs") or {}).get("content")
    return ChatChoice(
        text=_writable(message.get("content") or message.get("refusal") or ""),
        thoughts=_writable(message.get("reasoning_content") or message.get("reasoning") or ""),
        tokens=_tokens(told) if told else None,
        ended=choice.get("finish_reason") not in ("length", "content_filter"),
    )


def _tokens(told: Sequence[Mapping[str, Any]]) -> tuple[ChatToken, ...]:
    return tuple(
        ChatToken(
            text=_writable(token["token"]),
            written=None if token.get("bytes") is None else bytes(token["bytes"]),
            logprob=told_logprob(token.get("logprob")),
            top={_writable(one["token"]): told_logprob(one.get("logprob")) for one in token.get("top_logprobs") or ()},
        )
        for token in told
    )


def _writable(text: str) -> str:
    """The text with a question mark for each half of a surrogate pair, which UTF-8 does not have."""
    return text.encode("utf-8", "replace").decode("utf-8")
