"""The first token of a greedy answer to a fixed prompt, by which a server is known whose model was exchanged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NAME = "first_written"  # among what a server is known by; a name that ends in token is hidden as a secret
NOISE = 0.1  # nats by which values of the same token may differ: 16-bit logits move a little with the batch
_TOLD = 5


def first_token(written: str | int, value: float, likeliest: Mapping[Any, float]) -> dict[str, Any]:
    """What is kept of it, as JSON values: the token, and the likeliest tokens with their log-probabilities.

    Args:
        written: The token.
        value: Its log-probability; ``nan`` where it is not told.
        likeliest: Those of the likeliest tokens, best first.
    """
    told = {**dict(list(likeliest.items())[:_TOLD]), written: value}
    return {
        "written": str(written),
        "logprobs": {str(name): round(one, 4) for name, one in told.items() if not math.isnan(one)},
    }


def is_same_token(then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> bool:
    """Whether both may be of one model: each one's token is among the other's likeliest, with a like value.

    What one of them does not say is not compared.

    >>> one = first_token(5, -0.2, {5: -0.2, 7: -1.9})
    >>> is_same_token(one, first_token(5, -0.25, {})), is_same_token(one, first_token(5, -0.4, {}))
    (True, False)
    >>> is_same_token(one, first_token(9, -0.2, {9: -0.2, 7: -1.9})), is_same_token(one, None)
    (False, True)
    """
    if then is None or now is None:
        return True
    tokens = {then["written"], now["written"]}
    if len(tokens) > 1 and not all(tokens <= {one["written"], *one["logprobs"]} for one in (then, now)):
        return False
    known = [[one["logprobs"].get(token) for one in (then, now)] for token in tokens]
    return all(None in pair or abs(pair[0] - pair[1]) <= NOISE for pair in known)


def changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The facts that two descriptions of a server or configuration differ in, in words; empty for none."""
    return "; ".join(
        f"{name} was {then.get(name)!r} and is now {now.get(name)!r}"
        for name in sorted({*then, *now})
        if not (is_same_token(then.get(name), now.get(name)) if name == NAME else then.get(name) == now.get(name))
    )
