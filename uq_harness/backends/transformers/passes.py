"""Which of many texts go through the model together: those of like length, so that little of a pass is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from uq_harness.backends.transformers.architecture import Architecture

# Tokens that go through the model at a time, and padding among them that costs no more than another pass.
TOKENS, TOKENS_ON_GPU = 2**11, 2**15
PADDING_ON_GPU = 2**10
# A pass on a CPU reads the weights again, which takes as long as so many tokens take; and it calls the kernels of every
# block, which takes as long as so many multiplications by the block's weights. `benchmarks/mutual_information.py`
PADDING, CALLS, MOST_PADDING = 2**3, 2**24, 2**8


def in_passes(
    shapes: Sequence[tuple[int, int]], architecture: Architecture, most: int | None = None
) -> Iterator[list[int]]:
    """Divides items among passes of a size that suits model and device; see `alike`.

    Args:
        shapes: Rows and columns of each item.
        architecture: The model.
        most: The largest number of items in a pass; ``None`` for no limit.
    """
    on_cpu = architecture.input_device.type == "cpu"
    tokens = TOKENS if on_cpu else TOKENS_ON_GPU
    for numbers in alike(shapes, tokens, padding_worth_a_pass(architecture) if on_cpu else PADDING_ON_GPU):
        size = most or len(numbers)
        for start in range(0, len(numbers), size):
            yield numbers[start : start + size]


def padding_worth_a_pass(architecture: Architecture) -> int:
    """How many tokens of padding cost on a CPU what another pass costs: many of a small model, few of a large one."""
    return min(PADDING + CALLS // architecture.weights_of_block, MOST_PADDING)


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
