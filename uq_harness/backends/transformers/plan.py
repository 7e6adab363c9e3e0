"""What the passes through the model have to yield for a set of needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from uq_harness.backends.transformers.decode import Kept
from uq_harness.backends.transformers.head import Request
from uq_harness.evidence import (
    AlternativeEntailment,
    AnswerAttention,
    AnswerEntailment,
    AnswerEntropies,
    AnswerLogProbs,
    AnswersGivenAnswers,
    AnswerSimilarity,
    ComparedContinuationLogProb,
    ConfidenceReply,
    ContinuationLogProb,
    DiverseBeams,
    DrawLogProbs,
    HeadGradient,
    LikeliestTokens,
    Need,
    PairwiseEntailment,
    PairwiseSimilarity,
    RescoredLogProb,
    SampleLogits,
    SampleLogProbs,
    Samples,
    SampleStates,
    SelfAttention,
    StateGradient,
    StateGradientMap,
    TokenRelevance,
    TokenStatistic,
    UnconditionalLogProbs,
    VocabularySize,
)
from uq_harness.evidence.sets import SampleSets

N = TypeVar("N", bound=Need[Any])
# What can be had of a transformers model: from its passes, or by comparing texts that they give.
KINDS: tuple[type[Need[Any]], ...] = (
    AlternativeEntailment,
    AnswerAttention,
    AnswerEntailment,
    AnswerEntropies,
    AnswerLogProbs,
    AnswersGivenAnswers,
    AnswerSimilarity,
    ComparedContinuationLogProb,
    ConfidenceReply,
    ContinuationLogProb,
    DiverseBeams,
    DrawLogProbs,
    HeadGradient,
    LikeliestTokens,
    PairwiseEntailment,
    PairwiseSimilarity,
    RescoredLogProb,
    SampleLogProbs,
    SampleLogits,
    SampleStates,
    Samples,
    SelfAttention,
    StateGradient,
    StateGradientMap,
    TokenRelevance,
    VocabularySize,
    TokenStatistic,
    UnconditionalLogProbs,
)


@dataclass(frozen=True)
class Plan:
    """A set of needs, sorted by the passes that serve them.

    Attributes:
        needs: All of them.
        n_blocks: Number of the model's blocks.
    """

    needs: tuple[Need[Any], ...]
    n_blocks: int

    def of_kind(self, kind: type[N]) -> list[N]:
        """The needs of one kind."""
        return [need for need in self.needs if isinstance(need, kind)]

    @cached_property
    def sets(self) -> SampleSets:
        """The sample sets, and the samplers that serve them."""
        return SampleSets.of(self.needs)

    @cached_property
    def kept(self) -> Kept:
        """What decoding keeps for the passes behind it."""
        return Kept.of(self.needs, self.sets)

    @cached_property
    def spans(self) -> Mapping[StateGradient | StateGradientMap, range]:
        """The blocks of each need for state gradients.

        Raises:
            UQHarnessError: A span names blocks that the model does not have.
        """
        kinds: Iterable[StateGradient | StateGradientMap] = [
            *self.of_kind(StateGradient),
            *self.of_kind(StateGradientMap),
        ]
        return {need: need.layers.resolve(self.n_blocks) for need in kinds}

    @cached_property
    def positions(self) -> tuple[int, ...]:
        """The prompt positions of all gradient maps, counted from the end."""
        return tuple(sorted({position for need in self.of_kind(StateGradientMap) for position in need.positions}))

    @property
    def n_positions(self) -> int:
        """How many of a prompt's last tokens gradients are wanted at, not counting the semantic-preserving one."""
        return -min(self.positions, default=0)

    @cached_property
    def gradients(self) -> Request:
        """What the gradient pass has to yield."""
        return Request(
            head=frozenset(need.reweighted for need in self.of_kind(HeadGradient) if not need.tied),
            states=frozenset(need.reweighted for need in self.spans),
            first_block=min((span.start for span in self.spans.values()), default=0),
        )

    @cached_property
    def tied(self) -> frozenset[bool]:
        """Weightings (true: by entropy) for which the gradient of a tied matrix is wanted."""
        return frozenset(need.reweighted for need in self.of_kind(HeadGradient) if need.tied)

    @property
    def gradient_needs(self) -> list[HeadGradient | StateGradient | StateGradientMap]:
        """The needs that the gradient pass serves."""
        return [need for need in self.needs if isinstance(need, HeadGradient | StateGradient | StateGradientMap)]

    @property
    def captured_block(self) -> int | None:
        """The block whose inputs the gradient pass starts from; ``None`` where there is none."""
        return self.gradients.first_block if self.spans else None
