"""What each method read in a run of all of them, and what its share of the work was."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uq_harness.evidence import Evidence, Need
from uq_harness.evidence.cost import ByReaders, alone, beside
from uq_harness.methods import Method, scores

STAGES = ("nli", "similarity")


@dataclass(frozen=True)
class Entry:
    """One question's account.

    Attributes:
        alone: Seconds of what each method read, sample sets left out, and of its own arithmetic.
        beside: Seconds of what no other method read, sample sets included, and of its own arithmetic.
        pairs: For each stage of comparisons the pairs that each method read.
        cost: The record's ``cost``.
        scoring: Seconds of all methods' arithmetic.
    """

    alone: Mapping[str, float]
    beside: Mapping[str, float]
    pairs: Mapping[str, Mapping[str, float]]
    cost: Mapping[str, float]
    scoring: float


class Ledger:
    """A recorder that computes the scores of methods and notes what they cost.

    Args:
        methods: The methods.

    Attributes:
        entries: An account of each question so far.
        failed: The methods whose score could not be computed, with the error of the first question.
    """

    def __init__(self, methods: Sequence[Method]) -> None:
        self._methods = {method.name: method for method in methods}
        self._needs = {name: method.needs() for name, method in self._methods.items()}
        self._others = {
            name: [need for other, needs in self._needs.items() if other != name for need in needs]
            for name in self._needs
        }
        self.entries: list[Entry] = []
        self.failed: dict[str, str] = {}

    def needs(self) -> tuple[Need[Any], ...]:
        """All that the methods read."""
        return tuple(dict.fromkeys(need for needs in self._needs.values() for need in needs))

    def record(self, evidence: Evidence) -> dict[str, Any]:
        """Nothing: the account is kept here."""
        arithmetic = {name: self._seconds_of_score(method, evidence) for name, method in self._methods.items()}
        read = _without_samples(evidence.seconds)
        self.entries.append(
            Entry(
                alone={name: alone(read, needs) + arithmetic[name] for name, needs in self._needs.items()},
                beside={
                    name: beside(evidence.seconds, needs, self._others[name]) + arithmetic[name]
                    for name, needs in self._needs.items()
                },
                pairs={
                    stage: {name: alone(_of_stage(evidence.pairs, stage), needs) for name, needs in self._needs.items()}
                    for stage in STAGES
                },
                cost=evidence.cost,
                scoring=sum(arithmetic.values()),
            )
        )
        return {}

    def _seconds_of_score(self, method: Method, evidence: Evidence) -> float:
        start = time.perf_counter()
        try:
            scores([method], evidence)
        except Exception as error:  # whatever a method of another package raises: the others go on
            self.failed.setdefault(method.name, f"{type(error).__name__}: {error}")
        return time.perf_counter() - start


class Reader:
    """A recorder that has something gathered, and records nothing of it.

    Args:
        needs: What is gathered.
    """

    def __init__(self, needs: Iterable[Need[Any]]) -> None:
        self._needs = tuple(needs)
        self.entries: list[tuple[float, Mapping[str, float]]] = []

    def needs(self) -> tuple[Need[Any], ...]:
        """What is gathered."""
        return self._needs

    def record(self, evidence: Evidence) -> dict[str, Any]:
        """Nothing: tokens and cost of the answer are kept here."""
        self.entries.append((evidence.answer.n_tokens or 0, evidence.cost))
        return {}


def _without_samples(seconds: ByReaders) -> ByReaders:
    return {readers: spent for readers, spent in seconds.items() if any(need.stage != "samples" for need in readers)}


def _of_stage(pairs: ByReaders, stage: str) -> ByReaders:
    return {readers: count for readers, count in pairs.items() if any(need.stage == stage for need in readers)}
