"""A chat endpoint's reply as text, for a journal, and back, with the tokens that were paid for."""

from __future__ import annotations

import json
import math

from uq_harness.backends.chat_completions.reply import ChatChoice, ChatReply, ChatToken
from uq_harness.backends.served.requests import Usage


def as_text(reply: ChatReply) -> str:
    """The answers of a reply as JSON, ``null`` for what an endpoint did not tell.

    >>> told = (ChatToken("Yes", b"Yes", -0.5), ChatToken("!", None, math.nan))
    >>> as_text(ChatReply((ChatChoice("Yes!", "", told, True),), Usage(1, 40, 2)))
    '{"choices":[["Yes!","",[["Yes",[89,101,115],-0.5],["!",null,null]],true]],"paid":[40,2]}'
    """
    rows = [
        [one.text, one.thoughts, None if one.tokens is None else [_token(token) for token in one.tokens], one.ended]
        for one in reply.choices
    ]
    content = {"choices": rows, "paid": [reply.usage.prompt_tokens, reply.usage.completion_tokens]}
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def from_text(text: str) -> ChatReply:
    """The reply again, as one that is paid for; without the likeliest tokens, which probes alone read."""
    content = json.loads(text)
    read, written = content["paid"]
    choices = tuple(
        ChatChoice(
            said,
            thoughts,
            None
            if told is None
            else tuple(
                ChatToken(name, None if raw is None else bytes(raw), math.nan if value is None else value)
                for name, raw, value in told
            ),
            ended,
        )
        for said, thoughts, told, ended in content["choices"]
    )
    return ChatReply(choices, Usage(kept_prompt_tokens=read, kept_completion_tokens=written))


def _token(token: ChatToken) -> list[object]:
    written = None if token.written is None else list(token.written)
    return [token.text, written, None if math.isnan(token.logprob) else token.logprob]
