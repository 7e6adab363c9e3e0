"""Which of many texts go through the model together: those of like length, so that little of a pass is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

# Tokens that go through the model at a time, and padding among them that costs no more than another pass.
TOKENS, PADDING = 2**11, 2**5
TOKENS_ON_GPU, PADDING_ON_GPU = 2**15, 2**10


def in_passes(shapes: Sequence[tuple[int, int]], device: torch.device, most: int | None = None) -> Iterator[list[int]]:
    """Divides items among passes of a size that suits the device; see `alike`.

    Args:
        shapes: Rows and columns of each item.
        device: Where the model is.
        most: The largest number of items in a pass; ``None`` for no limit.
    """
    tokens, padding = (TOKENS, PADDING) if device.type == "cpu" else (TOKENS_ON_GPU, PADDING_ON_GPU)
    for numbers in alike(shapes, tokens, padding):
        size = most or len(numbers)
        for start in range(0, len(numbers), size):
            yield numbers[start : start + size]


def alike(shapes: Sequence[tuple[int, int]], tokens: int, padding: int) -> Iterator[list[int]]:
    """Divides what goes through the model among passes in which little is padding, the widest first.

    Args:
        shapes: Rows and columns of each item.
        tokens: The largest number of places in a pass, unless one item has more.
        padding: The largest number of places without a token that joining a pass may add to it.

    Yields:
        Numbers of the items that share a pass.
    """
    part: list[int] = []
    rows = width = wasted = 0
    for number in sorted(range(len(shapes)), key=lambda number: -shapes[number][1]):
        more, columns = shapes[number]
        wasted += more * (width - columns) if part else 0
        if part and ((rows + more) * width > tokens or wasted > padding):
            yield part
            part, rows, wasted = [], 0, 0
        width = width if part else columns
        part.append(number)
        rows += more
    if part:
        yield part
