"""Requests that a server answers in parts: one sample a request, one given token a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from uq_harness.backends.served.requests import TokenReply, TokenRequest, Usage


def samples_apart(request: TokenRequest) -> list[TokenRequest]:
    """A request for each answer, with the seed that it has; the request itself where it asks for one.

    >>> [one.seed for one in samples_apart(TokenRequest((1,), 5, count=3, temperature=1.0, seed=7))]
    [7, 8, 9]
    """
    return [replace(request, count=1, seed=request.seed + i) for i in range(request.count)]


def forced_apart(request: TokenRequest) -> list[TokenRequest]:
    """A request for each given token.

    >>> [one.prompt_ids for one in forced_apart(TokenRequest((1, 2, 3), 0, forced=2))]
    [(1, 2), (1, 2, 3)]
    """
    ids, forced = request.prompt_ids, request.forced
    return [replace(request, prompt_ids=ids[:end], forced=1) for end in range(len(ids) - forced + 1, len(ids) + 1)]


def in_parts(parts: Sequence[TokenRequest], ask: Callable[[TokenRequest], TokenReply]) -> TokenReply:
    """The reply to a request that is asked in parts, one after the other."""
    replies = [ask(part) for part in parts]
    forced = [reply.forced for reply in replies if reply.forced is not None]
    return TokenReply(
        choices=tuple(choice for reply in replies for choice in reply.choices),
        forced=np.concatenate(forced) if forced else None,
        forced_top=tuple(row for reply in replies for row in reply.forced_top),
        usage=sum((reply.usage for reply in replies), Usage()),
    )
