"""Makes an engine's ``drive`` of what it has: requests one by one in threads, or many in one call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Generic, TypeVar

from uq_harness.backends.served.engine import Steps
from uq_harness.backends.served.requests import QuestionRefusedError, TokenReply, TokenRequest, Usage
from uq_harness.backends.served.steps import Outcome, advance

T = TypeVar("T")
log = logging.getLogger(__name__)


def in_threads(
    ask: Callable[[TokenRequest], TokenReply],
    work: Iterable[Callable[[], Steps[T]]],
    at_a_time: int,
    requests_at_a_time: int,
    stop: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, T | QuestionRefusedError]]:
    """Does pieces of work by an engine that is asked one request at a time, in threads.

    The next requests of a piece go as soon as its replies are there. Equal requests that are under way at once are
    sent once. The pieces themselves run in the caller's thread.

    Args:
        ask: Sends a request; called in several threads.
        work: Begins each piece; asked for the next one when there is room for it.
        at_a_time: How many pieces are under way together at most.
        requests_at_a_time: How many requests are, over all pieces.
        stop: Called when the rest is given up, before the requests under way are waited for: ``ask`` shall not wait
            to send one again. It may be called more than once.

    Yields:
        See `Engine.drive`.

    Raises:
        UQHarnessError: What ``ask`` raised, but for `QuestionRefusedError`. No further request is sent then; pieces
            whose replies were under way, and sufficed, have been yielded.
    """
    pieces = _Pieces(work, at_a_time)
    arrived: SimpleQueue[tuple[TokenRequest, TokenReply | BaseException]] = SimpleQueue()

    def send(request: TokenRequest) -> None:
        try:
            arrived.put((request, ask(request)))
        except BaseException as error:  # raised again in the caller's thread
            arrived.put((request, error))

    def take() -> BaseException | None:
        request, reply = arrived.get()
        if isinstance(reply, TokenReply | QuestionRefusedError):
            pieces.hand_out(request, reply)
            return None
        return reply

    pool = ThreadPoolExecutor(requests_at_a_time, thread_name_prefix="uq-engine")
    try:
        failure: BaseException | None = None
        while failure is None:
            pieces.begin()
            for request in pieces.take_unsent():
                pool.submit(send, request)
            yield from pieces.take_ended()
            if pieces.waits:
                failure = take()
                while failure is None and not arrived.empty():
                    failure = take()
            elif pieces.done:
                return
        stop()
        pool.shutdown(cancel_futures=True)
        while not arrived.empty():
            take()
        yield from pieces.take_ended()
        raise failure
    except KeyboardInterrupt:
        log.warning("interrupted: waiting for the requests under way")
        raise
    finally:
        if not pieces.done:
            stop()
        pool.shutdown(cancel_futures=True)
        pieces.close()


def in_rounds(
    generate: Callable[[list[TokenRequest]], Sequence[Outcome]],
    work: Iterable[Callable[[], Steps[T]]],
    at_a_time: int,
) -> Iterator[tuple[int, T | QuestionRefusedError]]:
    """Does pieces of work by an engine that answers many requests in one call: those of all open pieces.

    Equal requests of a round are asked for once. New pieces join as others end.

    Args:
        generate: Answers requests, in their order; gives the error in the place of the reply where it refuses one.
        work: Begins each piece; asked for the next one when there is room for it.
        at_a_time: How many pieces are under way together at most.

    Yields:
        See `Engine.drive`.

    Raises:
        UQHarnessError: What ``generate`` raised. Pieces that had ended have been yielded.
    """
    pieces = _Pieces(work, at_a_time)
    try:
        while not pieces.done:
            pieces.begin()
            if requests := pieces.take_unsent():
                for request, outcome in zip(requests, generate(requests), strict=True):
                    pieces.hand_out(request, outcome)
            yield from pieces.take_ended()
    finally:
        pieces.close()


@dataclass
class _Piece(Generic[T]):
    """A piece of work that has begun, and its present step."""

    number: int
    steps: Steps[T]
    requests: list[TokenRequest] = field(default_factory=list)
    outcomes: dict[int, Outcome] = field(default_factory=dict)


class _Pieces(Generic[T]):
    """The pieces that are under way, and which requests they wait for."""

    def __init__(self, work: Iterable[Callable[[], Steps[T]]], at_a_time: int) -> None:
        self._work, self._at_a_time = enumerate(work), at_a_time
        self._exhausted = False
        self._open: dict[int, _Piece[T]] = {}
        self._waiting: dict[TokenRequest, list[tuple[_Piece[T], int]]] = {}
        self._unsent: list[TokenRequest] = []
        self._ended: list[tuple[int, T | QuestionRefusedError]] = []

    @property
    def waits(self) -> bool:
        """Whether a reply is waited for."""
        return bool(self._waiting)

    @property
    def done(self) -> bool:
        """Whether every piece has ended, and has been taken."""
        return self._exhausted and not self._open and not self._ended

    def begin(self) -> None:
        """Begins as many pieces as there is room for."""
        for _ in range(self._at_a_time - len(self._open)):
            number, begin = next(self._work, (0, None))
            if begin is None:
                self._exhausted = True
                return
            self._open[number] = piece = _Piece(number, begin())
            self._go_on(piece, lambda steps: next(steps))

    def take_unsent(self) -> list[TokenRequest]:
        """The requests that have to be sent; they count as under way from now on."""
        unsent, self._unsent = self._unsent, []
        return unsent

    def take_ended(self) -> Iterator[tuple[int, T | QuestionRefusedError]]:
        """The pieces that have ended since the last call, with their values."""
        while self._ended:
            yield self._ended.pop(0)

    def hand_out(self, request: TokenRequest, outcome: Outcome) -> None:
        """Gives the outcome of a request to all who wait for it; the first of them bears what it cost."""
        for piece, place in self._waiting.pop(request):
            piece.outcomes[place] = outcome
            if isinstance(outcome, TokenReply):
                outcome = replace(outcome, usage=Usage())
            self._go_on_if_ready(piece)

    def close(self) -> None:
        """Ends what is under way."""
        for piece in self._open.values():
            piece.steps.close()

    def _go_on_if_ready(self, piece: _Piece[T]) -> None:
        if len(piece.outcomes) == len(piece.requests):
            outcomes = [piece.outcomes[place] for place in range(len(piece.requests))]
            self._go_on(piece, lambda steps: advance(steps, outcomes))

    def _go_on(self, piece: _Piece[T], move: Callable[[Steps[T]], list[TokenRequest]]) -> None:
        """Lets a piece make its next step, and notes its requests or its value."""
        try:
            piece.requests, piece.outcomes = move(piece.steps), {}
        except StopIteration as end:
            self._end(piece, end.value)
        except QuestionRefusedError as error:
            self._end(piece, error)
        else:
            for place, request in enumerate(piece.requests):
                if request not in self._waiting:
                    self._waiting[request] = []
                    self._unsent.append(request)
                self._waiting[request].append((piece, place))
            self._go_on_if_ready(piece)  # a step may have no requests

    def _end(self, piece: _Piece[T], value: T | QuestionRefusedError) -> None:
        del self._open[piece.number]
        self._ended.append((piece.number, value))
