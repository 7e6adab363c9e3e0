"""Asks the model again when texts have been compared, and adds what it says to the evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from uq_harness.errors import UQHarnessError
from uq_harness.evidence import ComparedContinuationLogProb, Evidence, Need
from uq_harness.evidence.backend import Backend, FurtherPrompts


class Asker:
    """Makes the prompts that comparisons of texts decide, and has a backend read them; built once per run.

    Args:
        needs: What the methods need; those that take no further prompt are passed over.
        backend: What reads the prompts.

    Raises:
        UQHarnessError: The backend claims to give such a need, and does not read prompts.
    """

    def __init__(self, needs: Iterable[Need[Any]], backend: Backend) -> None:
        self._needs = [need for need in dict.fromkeys(needs) if isinstance(need, ComparedContinuationLogProb)]
        self._backend: FurtherPrompts | None = backend if isinstance(backend, FurtherPrompts) else None
        if self._needs and self._backend is None:
            raise UQHarnessError(
                f"{type(backend).__name__} says that it gives {type(self._needs[0]).__name__}, but has no read_prompts"
            )

    def add_choices(self, batch: Sequence[Evidence]) -> list[Evidence]:
        """The evidence with what the model says to its further prompts, for the whole batch in one call a need."""
        found = list(batch)
        for need in self._needs:
            asked = {row: need.prompt(one) for row, one in enumerate(found) if need.samples in one.values}
            prompts = {row: prompt for row, prompt in asked.items() if prompt is not None}
            for row in asked.keys() - prompts.keys():
                found[row] = found[row].plus([(need, float("nan"))], {}, {frozenset([need]): 0.0})
            if not prompts or self._backend is None:
                continue
            read = self._backend.read_prompts(list(prompts.values()), need.continuation)
            for row, one in zip(prompts, read, strict=True):
                seconds = one.cost.get("scoring_seconds")
                own: dict[frozenset[Need[Any]], float] = {} if seconds is None else {frozenset([need]): seconds}
                found[row] = found[row].plus([(need, one.logprob)], _added(found[row].cost, one.cost), own)
        return found


def _added(before: Mapping[str, float], more: Mapping[str, float]) -> dict[str, float]:
    return {name: before.get(name, 0) + value for name, value in more.items()}
