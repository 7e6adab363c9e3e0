"""Replies that are known: those of the journal, or without one the last few."""

from __future__ import annotations

import json
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from uq_harness.backends.served.requests import Choice, TokenReply, Usage
from uq_harness.endpoints.journal import Journal
from uq_harness.functional import FloatArray

_REMEMBERED = 256  # groups of a beam search begin at the same prompt, one after the other


class KeptReplies:
    """Replies by the hash of their request, with the tokens that an earlier run paid for.

    Args:
        journal: Where they are kept; ``None`` for the last few in memory.
    """

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal
        self._last: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, request: bytes) -> TokenReply | None:
        """The reply to a request, if it is known."""
        if self._journal is not None:
            known = self._journal.get(request)
        else:
            with self._lock:
                known = self._last.get(request)
        if known is None:
            return None
        reply = from_text(known)
        earlier = self._journal is not None and self._journal.is_earlier(request)
        return reply if earlier else replace(reply, usage=Usage())

    def put(self, request: bytes, reply: TokenReply) -> None:
        """Keeps a reply."""
        text = as_text(reply)
        if self._journal is not None:
            self._journal.put(request, text)
            return
        with self._lock:
            self._last[request] = text
            if len(self._last) > _REMEMBERED:
                self._last.popitem(last=False)


def as_text(reply: TokenReply) -> str:
    """The numbers of a reply as JSON, ``null`` for what a server did not tell, and the tokens that were paid for.

    >>> as_text(TokenReply((Choice((5, 2), np.array([-0.5, float("nan")])),), usage=Usage(1, 40, 2)))
    '{"choices":[[[5,2],[-0.5,null],[],true]],"forced":null,"forced_top":[],"paid":[40,2]}'
    """
    choices = [
        [one.token_ids, _plain(one.logprobs), [[list(row), list(row.values())] for row in one.top], one.ended]
        for one in reply.choices
    ]
    forced = None if reply.forced is None else _plain(reply.forced)
    content = {
        "choices": choices,
        "forced": forced,
        "forced_top": [_plain(row) for row in reply.forced_top],
        "paid": [reply.usage.prompt_tokens, reply.usage.completion_tokens],
    }
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def from_text(text: str) -> TokenReply:
    """The reply again, as one that is paid for."""
    content: dict[str, Any] = json.loads(text)
    read, written = content["paid"]
    return TokenReply(
        choices=tuple(
            Choice(
                token_ids=tuple(ids),
                logprobs=_array(logprobs),
                top=tuple(dict(zip(tokens, values, strict=True)) for tokens, values in top),
                ended=ended,
            )
            for ids, logprobs, top, ended in content["choices"]
        ),
        forced=None if content["forced"] is None else _array(content["forced"]),
        forced_top=tuple(_array(row) for row in content["forced_top"]),
        usage=Usage(kept_prompt_tokens=read, kept_completion_tokens=written),
    )


def _plain(values: FloatArray) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _array(values: Sequence[float | None]) -> FloatArray:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
