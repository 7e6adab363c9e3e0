"""The contract of an engine: what it is able to do, and how requests reach it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from enum import Enum
from typing import Any, Protocol, TypeVar

from uq_harness.backends.served.requests import QuestionRefusedError, TokenReply, TokenRequest

T = TypeVar("T")
# A piece of work: it yields requests that may be under way together, gets their replies in the same order, and in the
# end returns its value. What follows a reply is plain code.
Steps = Generator[list[TokenRequest], list[TokenReply], T]


class Ability(Enum):
    """Something that engines differ in."""

    LOGPROBS = "log-probabilities of the tokens it writes"
    OWN_LAW = "log-probabilities of drawn tokens under the model itself, before temperature and cuts"
    ALTERNATIVES = "log-probabilities of the likeliest tokens beside the one it wrote"
    FORCED = "log-probabilities of given tokens"
    FORCED_ALTERNATIVES = "log-probabilities of the likeliest tokens beside given ones"
    SEEDS = "samples that a seed makes repeatable"


class Abilities(Protocol):
    """What an engine is able to do.

    Attributes:
        most_alternatives: How many likeliest tokens it tells at most.
    """

    @property
    def most_alternatives(self) -> int:
        """See the class."""

    def lacks(self, ability: Ability) -> str | None:
        """Why an ability cannot be had, in words, with the way out; ``None`` where it is there.

        Found out by effect (a probe), not from documentation or a status code.
        """


class Engine(Abilities, Protocol):
    """Answers token requests; the two drivers make ``drive`` of what an engine has."""

    def drive(
        self, work: Iterable[Callable[[], Steps[T]]], at_a_time: int
    ) -> Iterator[tuple[int, T | QuestionRefusedError]]:
        """Does pieces of work, each begun when there is room for it.

        Args:
            work: Begins each piece.
            at_a_time: How many pieces are under way together at most.

        Yields:
            The position of each piece and its value, as they end; the error where the engine refused one of its
            requests, which is also raised at the ``yield`` of the piece, so that it can clean up or go on.

        Raises:
            UQHarnessError: The engine cannot be used any more. Pieces that had ended have been yielded.
        """

    def describe(self) -> dict[str, Any]:
        """What of the engine changes answers or scores, for the results' configuration and the cache's stamp."""
