"""The contract of a backend: what gives the evidence about answers, whatever the engine or file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from uq_harness.evidence.found import Evidence
from uq_harness.evidence.needs import Need
from uq_harness.evidence.prompt import Prompt, StopCriteria


class Backend(Protocol):
    """Answers prompts and gathers what methods need.

    Comparisons of texts (the stages ``nli`` and ``similarity``) are made later, from the texts and tokens that a
    backend gives; of them it only says whether these are there.

    Attributes:
        special_ids: Tokens that an answer's text does not show.
    """

    special_ids: frozenset[int]

    def missing(self, need: Need[Any]) -> str | None:
        """What is missing for a need, in words, and the way out; ``None`` where nothing is.

        Asked before any work, for every need of the chosen methods.
        """

    def prepare(self, needs: Sequence[Need[Any]]) -> None:
        """Gets ready to gather some needs; called once, before `gather`.

        Raises:
            UQHarnessError: One of them does not fit the model.
        """

    def gather(
        self, prompts: Sequence[Prompt], stop: StopCriteria, size: int
    ) -> Iterator[tuple[list[int], list[Evidence]]]:
        """Answers prompts and gathers the evidence about each answer.

        Args:
            prompts: The prompts, best sorted by length.
            stop: How answers end.
            size: Number of prompts that are answered together at most.

        Yields:
            Some prompts by their positions, in the order in which their answers end, and the evidence about them.

        Raises:
            UQHarnessError: A prompt is too short or too long for what is needed.
        """

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of an answer's tokens, special ones left out."""

    def describe(self) -> dict[str, Any]:
        """What of the backend changes answers or scores, for the results' configuration."""


class ReadPrompt(NamedTuple):
    """What a backend found out about a further prompt.

    Attributes:
        logprob: Log-probability of the continuation, in nats; ``nan`` where it cannot be had.
        cost: What it cost, by the names of a record's ``cost``.
    """

    logprob: float
    cost: Mapping[str, float]


@runtime_checkable
class FurtherPrompts(Protocol):
    """A backend that can ask its model again when texts have been compared (`ComparedContinuationLogProb`)."""

    def read_prompts(self, prompts: Sequence[str], continuation: str) -> list[ReadPrompt]:
        """The log-probability of a continuation behind each of some raw-text prompts.

        Args:
            prompts: The prompts, as texts without a chat template.
            continuation: The text that follows each.

        Raises:
            UQHarnessError: The backend can no longer be used.
        """


def first_missing(backend: Backend, needs: Iterable[Need[Any]]) -> str | None:
    """What is missing in a backend for the first of some needs that it cannot give, in words; ``None`` for nothing."""
    return next((what for need in needs if (what := backend.missing(need)) is not None), None)


def gather_all(backend: Backend, prompts: Sequence[Prompt], stop: StopCriteria) -> list[Evidence]:
    """The evidence about the answers to some prompts, in their order, gathered in one batch."""
    found = {
        position: evidence
        for positions, some in backend.gather(prompts, stop, len(prompts))
        for position, evidence in zip(positions, some, strict=True)
    }
    return [found[position] for position in range(len(prompts))]
