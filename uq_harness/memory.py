"""Going on after running out of memory: with smaller batches."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
log = logging.getLogger(__name__)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device, or the machine, has no memory left."""
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError)
        and any(sign in str(error) for sign in ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED"))
    )


def release() -> None:
    """Gives back what a failed batch has left behind.

    To be called outside the except clause, whose traceback would keep the failed batch's tensors alive.
    """
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def in_shrinking_batches(
    work: Callable[[Sequence[T]], R], items: Sequence[T], size: int
) -> Iterator[tuple[Sequence[T], R]]:
    """Does the work batch by batch; where memory runs out, halves the size for this batch and all later ones.

    Args:
        work: What to do with a batch.
        items: All items, in order.
        size: The largest batch.

    Yields:
        Each batch and its result, as soon as it is there.

    Raises:
        BaseException: Whatever ``work`` raises, an out-of-memory error only for a batch of one.
    """

    def batches(waiting: Sequence[T], size: int) -> Iterator[tuple[list[int], R]]:
        for start in range(0, len(waiting), size):
            batch = waiting[start : start + size]
            yield list(range(start, start + len(batch))), work(batch)

    return in_shrinking_streams(batches, items, size)


def in_shrinking_streams(
    work: Callable[[Sequence[T], int], Iterable[tuple[list[int], R]]], items: Sequence[T], size: int
) -> Iterator[tuple[Sequence[T], R]]:
    """Does work that makes its own batches; where memory runs out, goes on with what is not done, by halves.

    Args:
        work: Takes items and the size of the largest batch; gives positions of finished items, and their result.
        items: All items, in order.
        size: The largest batch.

    Yields:
        Finished items and their result, as soon as it is there.

    Raises:
        BaseException: Whatever ``work`` raises, an out-of-memory error only with batches of one.
    """
    waiting = list(items)
    while waiting:
        size, done = min(size, len(waiting)), set[int]()
        try:
            for positions, result in work(waiting, size):
                done.update(positions)
                yield [waiting[position] for position in positions], result
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or size == 1:
                raise
        waiting = [item for position, item in enumerate(waiting) if position not in done]
        if waiting:
            # outside the except clause, whose traceback would keep the failed batch's tensors alive
            log.warning("out of memory with a batch of %d: going on with batches of %d", size, size // 2)
            size //= 2
            release()
