"""Going on after running out of memory: halve the batch."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
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


def in_halves(work: Callable[[Sequence[T]], list[R]], batch: Sequence[T]) -> list[R]:
    """Does the work on a batch; where memory does not suffice, on its halves.

    Raises:
        BaseException: Whatever ``work`` raises, an out-of-memory error only for a batch of one.
    """
    try:
        return work(batch)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error) or len(batch) == 1:
            raise
        log.warning("out of memory with a batch of %d: halving it", len(batch))
    release()
    middle = len(batch) // 2
    return in_halves(work, batch[:middle]) + in_halves(work, batch[middle:])
