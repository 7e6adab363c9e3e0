"""A chat endpoint's reply as text, for a journal, and back; what it cost is not kept, for it is paid once."""

from __future__ import annotations

import json
import math

from uq_harness.backends.chat_completions.reply import ChatChoice, ChatReply, ChatToken
from uq_harness.backends.served.requests import Usage


def as_text(reply: ChatReply) -> str:
    """The answers of a reply as JSON, ``null`` for what an endpoint did not tell.

    >>> told = (ChatToken("Yes", b"Yes", -0.5), ChatToken("!", None, math.nan))
    >>> as_text(ChatReply((ChatChoice("Yes!", "", told, True),), Usage(1)))
    '[["Yes!","",[["Yes",[89,101,115],-0.5],["!",null,null]],true]]'
    """
    rows = [
        [one.text, one.thoughts, None if one.tokens is None else [_token(token) for token in one.tokens], one.ended]
        for one in reply.choices
    ]
    return json.dumps(rows, separators=(",", ":"), allow_nan=False)


def from_text(text: str) -> ChatReply:
    """The reply again, without the likeliest tokens, which probes alone read."""
    choices = tuple(
        ChatChoice(
            said,
            thoughts,
            None
            if told is None
            else tuple(
                ChatToken(name, None if written is None else bytes(written), math.nan if value is None else value)
                for name, written, value in told
            ),
            ended,
        )
        for said, thoughts, told, ended in json.loads(text)
    )
    return ChatReply(choices, Usage())


def _token(token: ChatToken) -> list[object]:
    written = None if token.written is None else list(token.written)
    return [token.text, written, None if math.isnan(token.logprob) else token.logprob]
