"""The prompt's last positions, and which tokens stand there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Position:
    """A place in the prompt.

    Attributes:
        position: Counted from the prompt's end, ``-1`` for the last token.
        text: The token that most prompts have there.
        share: The share of prompts that have it; 1 for what the chat template writes.
    """

    position: int
    text: str
    share: float


def commonest_tokens(last: NDArray[np.integer[Any]], decode: Callable[[int], str]) -> list[Position]:
    """The commonest token of every position.

    Args:
        last: The last tokens of many prompts, ``[prompts, positions]``.
        decode: The text of a token.

    >>> commonest_tokens(np.array([[7, 2], [8, 2], [7, 2], [7, 2]]), "t{}".format)
    [Position(position=-2, text='t7', share=0.75), Position(position=-1, text='t2', share=1.0)]
    """
    described = []
    for place, column in enumerate(last.T):
        tokens, numbers = np.unique(column, return_counts=True)
        text = decode(int(tokens[numbers.argmax()]))
        described.append(Position(place - last.shape[1], text, float(numbers.max() / len(column))))
    return described
