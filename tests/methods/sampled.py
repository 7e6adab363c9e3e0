"""Evidence about samples, written down by hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from uq_harness.evidence import (
    Answer,
    AnswerEntailment,
    AnswersGivenAnswers,
    AnswerSimilarity,
    ConditionalLogProbs,
    DiverseBeams,
    DrawLogProbs,
    Evidence,
    PairwiseEntailment,
    PairwiseSimilarity,
    RescoredLogProb,
    Sample,
    Samples,
    SampleStates,
    TokenRelevance,
)
from uq_harness.methods import Method, build_methods

ANSWER = Answer("Paris", (5, 2), np.array([-0.5, -0.25]), np.array([1.0, 0.5]), complete=True)
FIELDS = {
    Samples: "samples",
    DiverseBeams: "samples",
    DrawLogProbs: "",
    SampleStates: "states",
    PairwiseEntailment: "entailment",
    AnswerEntailment: "entailment",
    PairwiseSimilarity: "similarity",
    AnswerSimilarity: "similarity",
    TokenRelevance: "relevance",
    RescoredLogProb: "rescored",
    AnswersGivenAnswers: "conditionals",
}


def samples(logprobs: Sequence[Any] | None = None, texts: Sequence[str] | None = None) -> tuple[Sample, ...]:
    """Samples of which some things are known; texts differ unless they are given."""
    count = len(next(given for given in (logprobs, texts) if given is not None))
    return tuple(
        Sample(
            text=texts[i] if texts is not None else f"answer {i}",
            token_ids=tuple(range(len(logprobs[i]))) if logprobs is not None else (1,),
            logprobs=np.array(logprobs[i] if logprobs is not None else [-1.0], dtype=np.float64),
            complete=True,
        )
        for i in range(count)
    )


def score(name: str, options: dict[str, Any] | None = None, **found: Any) -> float:
    """The score of a method on evidence that has exactly what the method asks for."""
    (method,) = build_methods(name, options or {})
    return method.score(evidence(method, **found))


def evidence(method: Method, **found: Any) -> Evidence:
    values = {need: found[FIELDS[type(need)]] for need in method.needs() if FIELDS.get(type(need)) in found}
    return Evidence("Which city?", ANSWER, values)


def nli(entail: Any, neutral: Any = 0.0) -> np.ndarray:
    """NLI probabilities in evidence's order; what is left goes to contradiction."""
    entail = np.asarray(entail, dtype=np.float64)
    neutral = np.broadcast_to(neutral, entail.shape)
    return np.stack([entail, neutral, 1 - entail - neutral], axis=-1)


def both_ways(values: Any) -> np.ndarray:
    """The same number in both directions, ``[n, 2]``."""
    return np.repeat(np.asarray(values, dtype=np.float64)[:, np.newaxis], 2, axis=1)


def same_cluster(ids: Any) -> np.ndarray:
    """NLI probabilities by which samples with the same number mean the same, and all others contradict."""
    ids = np.asarray(ids)
    return nli((ids[:, np.newaxis] == ids).astype(np.float64))


def conditionals(probabilities: Any, log_likelihoods: Any, answers: Sequence[str] | None = None) -> ConditionalLogProbs:
    texts = answers if answers is not None else [f"answer {i}" for i in range(len(probabilities))]
    return ConditionalLogProbs(tuple(texts), np.asarray(probabilities, float), np.asarray(log_likelihoods, float))
