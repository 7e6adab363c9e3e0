"""Waiting requests of many callers share batches: a queue, and one thread that answers what stands in it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from uq_harness.answering.asked import in_batches
from uq_harness.answering.scored_answer import PromptAnswerer, ScoredAnswer
from uq_harness.answering.source_thread import Ended, SourceThread
from uq_harness.evidence.prompt import Prompt

log = logging.getLogger(__name__)

T = TypeVar("T")
_WAIT = 0.01  # seconds in which others may join the first request of a batch that is not full
_Request = tuple[Prompt, "Future[ScoredAnswer]"]


class RequestQueue:
    """Answers prompts in the order in which they come, at most a batch at a time.

    Its thread begins with the first request and ends with this object, or with the program, which waits for requests
    that are being answered. A request that was cancelled before its turn is passed over.

    Args:
        answer: Answers and scores a batch.
    """

    def __init__(self, answer: PromptAnswerer) -> None:
        self._answer = answer
        self._waiting: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="uq-harness")

    def submit(self, prompts: Sequence[Prompt]) -> list[Future[ScoredAnswer]]:
        """Puts prompts into the queue, and gives what will hold the answer to each, or the error."""
        futures: list[Future[ScoredAnswer]] = [Future() for _ in prompts]
        with self._changed:
            self._waiting += zip(prompts, futures, strict=True)
            self._changed.notify()
        self._thread.submit(self._work)
        return futures

    async def answers(self, prompts: Sequence[Prompt]) -> list[ScoredAnswer]:
        """The answers to prompts that are ready, in their order.

        At most two batches are in the queue at a time, so that one caller with many questions leaves others their
        turn. What was not answered when the caller gives up is taken out of the queue.
        """
        ahead: deque[asyncio.Future[ScoredAnswer]] = deque()
        found = []
        try:
            for _, batch in in_batches(prompts, self._answer.batch_size):
                ahead += map(asyncio.wrap_future, self.submit(batch))
                while len(ahead) > self._answer.batch_size:
                    found.append(await ahead.popleft())
            while ahead:
                found.append(await ahead.popleft())
        finally:
            _give_up(ahead)
        return found

    async def stream(self, questions: Iterable[T], prompt: Callable[[int, T], Prompt]) -> AsyncIterator[ScoredAnswer]:
        """The answers to questions, in their order, each as soon as it and those before it are there.

        No answer waits for the questions behind it; where these fail, the error comes behind the answers to those
        before it. As in `answers`, the questions of two batches are in the queue at most.

        Args:
            questions: They are gone through in a thread of this call's, and may take their time.
            prompt: Makes a prompt of a question, given its number, from 1 on; in the same thread.
        """
        ahead: asyncio.Queue[asyncio.Future[ScoredAnswer] | Ended] = asyncio.Queue()

        def accept(made: Prompt | Ended) -> None:
            ahead.put_nowait(made if isinstance(made, Ended) else asyncio.wrap_future(self.submit([made])[0]))

        source = SourceThread(questions, prompt, accept, lambda: 2 * self._answer.batch_size)
        try:
            while not isinstance(waiting := await ahead.get(), Ended):
                found = await waiting
                source.finished()
                yield found
            if waiting.error is not None:
                raise _for_a_caller(waiting.error)
        finally:
            source.leave()
            while not ahead.empty():
                if not isinstance(left := ahead.get_nowait(), Ended):
                    _give_up([left])

    def _work(self) -> None:
        while batch := self._take():
            running = [request for request in batch if request[1].set_running_or_notify_cancel()]
            if running:
                log.debug("answering a batch of %d", len(running))
                self._answer_together(running)

    def _take(self) -> list[_Request]:
        """The next batch; empty where nothing waits."""
        size = self._answer.batch_size
        with self._changed:
            if self._waiting:
                self._changed.wait_for(lambda: len(self._waiting) >= size, _WAIT)
            return [self._waiting.popleft() for _ in range(min(size, len(self._waiting)))]

    def _answer_together(self, requests: Sequence[_Request]) -> None:
        """Answers requests; where a batch fails, those that have no answer yet are asked one by one."""
        unanswered = dict(enumerate(requests))
        try:
            for row, answer in self._answer([prompt for prompt, _ in requests]):
                unanswered.pop(row)[1].set_result(answer)
        except BaseException as error:  # whatever it is, a caller waits for it
            if len(requests) == 1:
                for _, future in unanswered.values():
                    future.set_exception(_for_a_caller(error))
                return
            log.warning("a batch of %d failed, and its questions are answered one by one: %s", len(requests), error)
        for request in unanswered.values():  # outside the except clause, whose traceback keeps tensors alive
            self._answer_together([request])


def _for_a_caller(error: BaseException) -> Exception:
    """The error as one that leaves the caller's event loop running, which ``SystemExit``, for one, would end."""
    if isinstance(error, Exception):
        return error
    found = RuntimeError(f"answering failed: {error!r}")
    found.__cause__ = error
    return found


def _give_up(waiting: Iterable[asyncio.Future[ScoredAnswer]]) -> None:
    for one in waiting:
        if not one.cancel() and not one.cancelled():
            one.exception()  # nobody waits for it now
