"""Which samplers serve all wanted sample sets, and the sets cut out of what they drew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from uq_harness.evidence.needs import (
    AnswersGivenAnswers,
    DiverseBeams,
    DrawLogProbs,
    Need,
    RescoredLogProb,
    SampleLogits,
    Samples,
    SampleSet,
    SampleStates,
    sample_sets,
)

T = TypeVar("T")


@dataclass(frozen=True)
class SampleSets:
    """The sample sets that some needs mean, and the fewest samplers that serve them.

    Samples are numbered, and the first ones do not depend on the count: sets that differ in nothing but the count
    share one sampler.

    Attributes:
        wanted: Every set that is needed.
        samplers: What has to be drawn.
        stateful: The samplers among them whose answers' hidden states are needed.
        lawful: Those whose answers' log-probabilities under the law of the draw are needed.
        with_logits: Those whose answers' logits are needed.
        tempered: The beam searches whose answers are needed at another temperature, and that temperature.
    """

    wanted: tuple[SampleSet, ...]
    samplers: tuple[SampleSet, ...]
    stateful: frozenset[SampleSet]
    lawful: frozenset[SampleSet] = frozenset()
    with_logits: frozenset[SampleSet] = frozenset()
    tempered: Mapping[SampleSet, float] = field(default_factory=dict)

    @classmethod
    def of(cls, needs: Iterable[Need[Any]]) -> SampleSets:
        """Collects the sets; many needs name one."""
        needs = tuple(needs)
        wanted = sample_sets(needs)
        largest: dict[SampleSet, SampleSet] = {}
        for one in wanted:
            kind = _kind(one)
            largest[kind] = max(largest.get(kind, one), one, key=_size)
        stateful = frozenset(largest[_kind(need.samples)] for need in needs if isinstance(need, SampleStates))
        lawful = frozenset(largest[_kind(one)] for one in sample_sets(need for need in needs if _reads_law(need)))
        with_logits = frozenset(largest[_kind(need.samples)] for need in needs if isinstance(need, SampleLogits))
        tempered: dict[SampleSet, float] = {
            need.samples: need.temperature
            for need in needs
            if isinstance(need, RescoredLogProb) and isinstance(need.samples, DiverseBeams)
        }
        return cls(wanted, tuple(largest.values()), stateful, lawful, with_logits, tempered)

    def divide(self, drawn: Mapping[SampleSet, Sequence[T]]) -> dict[SampleSet, tuple[T, ...]]:
        """The wanted sets from what the samplers drew; one whose sampler drew nothing is absent."""
        found = {one: serving(one, drawn) for one in self.wanted}
        return {one: tuple(drawn[by][: _size(one)]) for one, by in found.items() if by is not None}


def serving(one: SampleSet, samplers: Iterable[SampleSet]) -> SampleSet | None:
    """The sampler that a set is cut out of; ``None`` where there is none."""
    return next((sampler for sampler in samplers if _kind(sampler) == _kind(one)), None)


def _reads_law(need: Need[Any]) -> bool:
    return isinstance(need, DrawLogProbs) or (isinstance(need, AnswersGivenAnswers) and need.sampled)


def _kind(one: SampleSet) -> SampleSet:
    """The set without its count; the answers of a beam search depend on their number."""
    return replace(one, count=0) if isinstance(one, Samples) else one


def _size(one: SampleSet) -> int:
    return one.groups if isinstance(one, DiverseBeams) else one.count
