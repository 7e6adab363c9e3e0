"""The contract between methods and backends: what a method may need, and what is found out about one answer."""

import warnings
from typing import Any

from uq_harness import functional
from uq_harness.evidence.answers import Alternatives, Answer, ConditionalLogProbs, Sample, StateGradientNorms
from uq_harness.evidence.found import Evidence
from uq_harness.evidence.needs import (
    CONTRADICTION,
    ENTAILMENT,
    NEUTRAL,
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
    LayerSpan,
    LikeliestTokens,
    Need,
    PairwiseEntailment,
    PairwiseSimilarity,
    RescoredLogProb,
    SampleLogits,
    SampleLogProbs,
    Samples,
    SampleSet,
    SampleStates,
    SelfAttention,
    StateGradient,
    StateGradientMap,
    TokenRelevance,
    TokenStatistic,
    UnconditionalLogProbs,
    VocabularySize,
    sample_sets,
)

__all__ = [
    "CONTRADICTION",
    "ENTAILMENT",
    "NEUTRAL",
    "AlternativeEntailment",
    "Alternatives",
    "Answer",
    "AnswerAttention",
    "AnswerEntailment",
    "AnswerEntropies",
    "AnswerLogProbs",
    "AnswerSimilarity",
    "AnswersGivenAnswers",
    "ComparedContinuationLogProb",
    "ConditionalLogProbs",
    "ConfidenceReply",
    "ContinuationLogProb",
    "DiverseBeams",
    "DrawLogProbs",
    "Evidence",
    "HeadGradient",
    "LayerSpan",
    "LikeliestTokens",
    "Need",
    "PairwiseEntailment",
    "PairwiseSimilarity",
    "RescoredLogProb",
    "Sample",
    "SampleLogProbs",
    "SampleLogits",
    "SampleSet",
    "SampleStates",
    "Samples",
    "SelfAttention",
    "StateGradient",
    "StateGradientMap",
    "StateGradientNorms",
    "TokenRelevance",
    "TokenStatistic",
    "UnconditionalLogProbs",
    "VocabularySize",
    "sample_sets",
]

# Names of earlier releases, for methods of other packages, and where they are now.
_EARLIER: dict[str, tuple[str, Any]] = {
    "Conditionals": ("uq_harness.evidence.ConditionalLogProbs", ConditionalLogProbs),
    "FloatArray": ("uq_harness.functional.FloatArray", functional.FloatArray),
}


def __getattr__(name: str) -> Any:
    if name not in _EARLIER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    now, value = _EARLIER[name]
    warnings.warn(f"{__name__}.{name} is now {now}; the next release drops it", DeprecationWarning, stacklevel=2)
    return value
