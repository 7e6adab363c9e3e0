"""Going through what an application gives in a thread, since it may wait: for a queue, a network, an answer."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Iterable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
M = TypeVar("M")

_making = threading.Lock()
# A program that ends stops these threads wherever they are. A tokenizer, written in Rust, would abort the process then.
atexit.register(_making.acquire)


@dataclass(frozen=True)
class Ended:
    """No item follows.

    Attributes:
        error: What ended them, where it was not their end.
    """

    error: BaseException | None = None


class SourceThread(Generic[T, M]):
    """Goes through items in a thread of its own, and hands what is made of each to the event loop of its caller.

    The thread does not keep a program from ending: the next item may never come.

    Args:
        items: Gone through once, in the thread.
        make: Makes something of an item, given its number, from 1 on; in the thread.
        accept: Called in the event loop with what was made of each item, in their order, and with `Ended` after them.
        ahead: How many items may be taken for which `finished` was not called yet; it may change.
    """

    def __init__(
        self,
        items: Iterable[T],
        make: Callable[[int, T], M],
        accept: Callable[[M | Ended], None],
        ahead: Callable[[], int],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._calls: tuple[Callable[[int, T], M], Callable[[M | Ended], None], Callable[[], int]] | None
        self._calls = make, accept, ahead
        self._taken = self._finished = 0
        self._changed = threading.Condition()
        run = copy_context().run
        threading.Thread(target=run, args=(self._go, items), name="uq-harness-source", daemon=True).start()

    def finished(self) -> None:
        """Lets the thread take one item more."""
        with self._changed:
            self._finished += 1
            self._changed.notify()

    def leave(self) -> None:
        """Ends the thread; where it waits for an item, that is dropped when it comes, and nothing follows."""
        with self._changed:
            self._calls = None  # the thread may wait for long, and keeps nothing of its caller's
            self._changed.notify()

    def _go(self, items: Iterable[T]) -> None:
        error = None
        try:
            remaining = iter(items)
            while self._may_take():
                try:
                    item = next(remaining)
                except StopIteration:
                    break
                self._taken += 1
                self._make(item)
        except BaseException as caught:  # whatever it is, the caller waits for it
            error = caught
        self._hand_over(Ended(error))

    def _may_take(self) -> bool:
        with self._changed:
            self._changed.wait_for(self._has_space_or_was_left)
            return self._calls is not None

    def _has_space_or_was_left(self) -> bool:
        return self._calls is None or self._taken - self._finished < self._calls[2]()

    def _make(self, item: T) -> None:
        calls = self._calls
        if calls is not None:
            with _making:
                made = calls[0](self._taken, item)
            self._hand_over(made)

    def _hand_over(self, made: M | Ended) -> None:
        try:
            self._loop.call_soon_threadsafe(self._accept, made)
        except RuntimeError:  # the loop is closed
            self.leave()

    def _accept(self, made: M | Ended) -> None:
        if self._calls is not None:
            self._calls[1](made)
