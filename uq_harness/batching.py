"""Going on after running out of memory: with smaller batches."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")
R = TypeVar("R")
log = logging.getLogger(__name__)

_SIGNS = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device, or the machine, has no memory left."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, RuntimeError):
        return any(sign in str(error) for sign in _SIGNS)
    return type(error).__module__.startswith("tensorflow.") and type(error).__name__ == "ResourceExhaustedError"


def release() -> None:
    """Gives back what a failed batch has left behind.

    To be called outside the except clause, whose traceback would keep the failed batch's tensors alive.
    """
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@dataclass
class Room:
    """How many items go through a model at a time; it shrinks for good where memory runs out.

    Attributes:
        size: The largest batch.
        otherwise: What becomes of an item that is too large even alone, for the warning; empty for no warning.
        gave_up: Whether there has been one.
        smaller: The warning about a batch that was too large, with places for its size and the next one.
    """

    size: int
    otherwise: str = "what does not fit is undefined"
    gave_up: bool = False
    smaller: str = "out of memory with a batch of %d: going on with batches of %d"

    def fits(self, waiting: Sequence[Any], start: int = 0) -> int:
        """How many of the waiting items go together, from the start on."""
        return min(self.size, len(waiting) - start)

    def too_large(self, size: int, waiting: Sequence[Any]) -> int:
        """The size of the batch that memory did not hold.

        Args:
            size: The largest batch when the work began.
            waiting: What is not done yet; the batch is its beginning where the work takes the items in their order.
        """
        return size

    def shrink(self, size: int, waiting: Sequence[Any]) -> None:
        """Makes the batches smaller after one of the size was too large."""
        log.warning(self.smaller, size, size // 2)
        self.size = min(self.size, size // 2)

    def give_up(self) -> None:
        """Warns, once, of an item that is too large even alone."""
        if self.otherwise and not self.gave_up:
            log.warning("out of memory with a batch of one: %s", self.otherwise)
        self.gave_up = True


def in_shrinking_batches(
    work: Callable[[Sequence[T]], R],
    items: Sequence[T],
    size: int | Room,
    impossible: Callable[[T], R] | None = None,
) -> Iterator[tuple[Sequence[T], R]]:
    """Does the work batch by batch; where memory runs out, halves the size for this batch and all later ones.

    Args:
        work: What to do with a batch.
        items: All items, in order.
        size: The largest batch; a `Room` keeps what has been learnt for the next call.
        impossible: Gives the result of an item that memory does not hold alone.

    Yields:
        Each batch and its result, as soon as it is there.

    Raises:
        BaseException: Whatever ``work`` raises, an out-of-memory error only for a batch of one without ``impossible``.
    """
    room = size if isinstance(size, Room) else Room(size)

    def batches(waiting: Sequence[T], _: int) -> Iterator[tuple[list[int], R]]:
        done = 0
        while done < len(waiting):
            batch = waiting[done : done + room.fits(waiting, done)]
            yield list(range(done, done + len(batch))), work(batch)
            done += len(batch)

    return in_shrinking_streams(batches, items, room, impossible)


def in_shrinking_streams(
    work: Callable[[Sequence[T], int], Iterable[tuple[list[int], R]]],
    items: Sequence[T],
    size: int | Room,
    impossible: Callable[[T], R] | None = None,
) -> Iterator[tuple[Sequence[T], R]]:
    """Does work that makes its own batches; where memory runs out, goes on with what is not done, by halves.

    Args:
        work: Takes items and the size of the largest batch; gives positions of finished items, and their result. With
            a size of 1 it takes them in their order.
        items: All items, in order.
        size: The largest batch; a `Room` keeps what has been learnt for the next call.
        impossible: Gives the result of an item that memory does not hold alone.

    Yields:
        Finished items and their result, as soon as it is there.

    Raises:
        BaseException: Whatever ``work`` raises, an out-of-memory error only with batches of one without ``impossible``.
    """
    room = size if isinstance(size, Room) else Room(size)
    waiting = list(items)
    while waiting:
        size, done, failed = room.fits(waiting), set[int](), 0
        try:
            for positions, result in work(waiting, size):
                done.update(positions)
                yield [waiting[position] for position in positions], result
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            failed = room.too_large(size, _without(waiting, done))
            if failed == 1 and impossible is None:
                raise
        waiting = _without(waiting, done)
        if failed and waiting:
            # outside the except clause, whose traceback would keep the failed batch's tensors alive
            release()
            if failed == 1 and impossible is not None:
                room.give_up()
                item = waiting.pop(0)
                yield [item], impossible(item)
            else:
                room.shrink(failed, waiting)


def _without(items: Sequence[T], done: set[int]) -> list[T]:
    return [item for position, item in enumerate(items) if position not in done]


_locks: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_guard = threading.Lock()


def lock_of(shared: Any) -> Any:
    """The lock of an object, the same for everybody who asks; a thread that holds it may take it again.

    >>> class Model: ...
    >>> model = Model()
    >>> lock_of(model) is lock_of(model), lock_of(model) is lock_of(Model())
    (True, False)
    """
    with _guard:
        return _locks.setdefault(shared, threading.RLock())
