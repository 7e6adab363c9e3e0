"""Going on after running out of memory: with smaller batches."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
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
    start = 0
    while start < len(items):
        batch = items[start : start + size]
        try:
            result = work(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or len(batch) == 1:
                raise
        else:
            yield batch, result
            start += len(batch)
            continue
        # outside the except clause, whose traceback would keep the failed batch's tensors alive
        size = len(batch) // 2
        log.warning("out of memory with a batch of %d: going on with batches of %d", len(batch), size)
        release()
