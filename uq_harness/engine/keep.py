"""What decoding keeps beside the answers, for the passes that follow it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from uq_harness.evidence import HeadGradient, Need, RescoredLogProb, SampleSet, StateGradient, StateGradientMap
from uq_harness.evidence.sets import SampleSets


@dataclass(frozen=True)
class Keep:
    """What decoding keeps beside the answers; by default everything.

    Attributes:
        head_states: Whether the state that the head read is kept for every token of the greedy answers, not only for
            the first.
        prompt_cache: Whether the prompts' keys and values are kept.
        states: The samplers whose answers keep their hidden state; ``None`` for all.
        laws: The samplers whose answers keep their log-probabilities under the law of the draw.
    """

    head_states: bool = True
    prompt_cache: bool = True
    states: frozenset[SampleSet] | None = None
    laws: frozenset[SampleSet] = frozenset()

    @classmethod
    def of(cls, needs: Iterable[Need[Any]], sets: SampleSets) -> Keep:
        """What some needs make later passes read, and nothing else.

        >>> from uq_harness.evidence import Samples
        >>> Keep.of([Samples(10, 1.0)], SampleSets.of([Samples(10, 1.0)]))
        Keep(head_states=False, prompt_cache=False, states=frozenset(), laws=frozenset())
        """
        needs = tuple(needs)
        return cls(
            head_states=any(isinstance(need, HeadGradient | StateGradient | StateGradientMap) for need in needs),
            prompt_cache=any(isinstance(need, StateGradient | StateGradientMap | RescoredLogProb) for need in needs),
            states=sets.stateful,
            laws=sets.lawful,
        )
