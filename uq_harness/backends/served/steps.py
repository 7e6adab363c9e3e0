"""Pieces of work that run side by side, and what becomes of them where the engine refuses one of their requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from uq_harness.backends.served.engine import Steps
from uq_harness.backends.served.requests import QuestionRefusedError, TokenReply, TokenRequest

T = TypeVar("T")
Outcome = TokenReply | QuestionRefusedError


class StepRefusedError(QuestionRefusedError):
    """An engine refuses some requests of one step; the drivers raise it at the step's ``yield``.

    Attributes:
        outcomes: What became of each request of the step, in their order.
    """

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes = tuple(outcomes)
        super().__init__(str(first_refusal(outcomes) or ""))


def first_refusal(outcomes: Sequence[Outcome]) -> QuestionRefusedError | None:
    """The first error among the outcomes of some requests; ``None`` where all have replies."""
    return next((one for one in outcomes if isinstance(one, QuestionRefusedError)), None)


def advance(steps: Steps[T], outcomes: Sequence[Outcome]) -> list[TokenRequest]:
    """Hands the outcomes of its requests to a piece of work, and returns its next requests.

    Raises:
        StopIteration: It has ended; the exception has its value.
        QuestionRefusedError: A request was refused, and the piece ends with it.
    """
    if first_refusal(outcomes) is not None:
        return steps.throw(StepRefusedError(outcomes))
    return steps.send([one for one in outcomes if isinstance(one, TokenReply)])


def together(pieces: Sequence[Steps[T]]) -> Steps[list[T | QuestionRefusedError]]:
    """Runs pieces of work side by side: each step asks for the requests of all of them.

    A refusal concerns the piece that made the request, and no other.

    Returns:
        The value of each piece, in their order; the error where it ended with a refusal.
    """
    values: dict[int, T | QuestionRefusedError] = {}
    asking: dict[int, list[TokenRequest]] = {}

    def go(place: int, outcomes: Sequence[Outcome] | None) -> None:
        try:
            asking[place] = next(pieces[place]) if outcomes is None else advance(pieces[place], outcomes)
        except StopIteration as end:
            values[place] = end.value
        except QuestionRefusedError as error:
            values[place] = error

    try:
        for place in range(len(pieces)):
            go(place, None)
        while asking:
            asked, asking = asking, {}
            outcomes: Sequence[Outcome]
            try:
                outcomes = yield [request for requests in asked.values() for request in requests]
            except StepRefusedError as error:
                outcomes = error.outcomes
            start = 0
            for place, requests in asked.items():
                go(place, outcomes[start : start + len(requests)])
                start += len(requests)
    finally:
        for piece in pieces:
            piece.close()
    return [values[place] for place in range(len(pieces))]
