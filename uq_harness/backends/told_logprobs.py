"""Log-probabilities as servers tell them, in whatever way one says that it does not know a value."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

# OpenAI's and vLLM's number for a token that is not among the likeliest; llama.cpp writes the lowest 32-bit number.
UNKNOWN_LOGPROB = -9999.0


def told_logprob(told: Any) -> float:
    """A log-probability in nats; ``nan`` where none is told: nothing, −9999 or less, or no finite number.

    Raises:
        TypeError: It is no number.
        ValueError: It is a text that is no number.

    >>> [told_logprob(value) for value in (-0.5, None, -9999.0, -3.4028e38, -math.inf)]
    [-0.5, nan, nan, nan, nan]
    """
    value = math.nan if told is None else float(told)
    return value if UNKNOWN_LOGPROB < value < math.inf else math.nan


def likeliest(told: Iterable[tuple[int, Any]], most: int) -> dict[int, float]:
    """The likeliest of some tokens with their log-probabilities, best first; those without one are left out.

    >>> likeliest([(5, -2.0), (7, None), (3, -0.5), (4, -3.0)], 2)
    {3: -0.5, 5: -2.0}
    """
    values = {token: told_logprob(value) for token, value in told}
    ranked = sorted((token for token in values if not math.isnan(values[token])), key=lambda token: -values[token])
    return {token: values[token] for token in ranked[:most]}
