"""A saved answer as evidence for the chosen methods, and what it lacks for the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from uq_harness.errors import UQHarnessError
from uq_harness.evidence import (
    Answer,
    AnswerEntailment,
    AnswerEntropies,
    AnswerLogProbs,
    AnswersGivenAnswers,
    ContinuationLogProb,
    DiverseBeams,
    Evidence,
    HeadGradient,
    Need,
    PairwiseEntailment,
    PairwiseSimilarity,
    RescoredLogProb,
    Sample,
    SampleLogProbs,
    Samples,
    SampleSet,
    SampleStates,
    StateGradient,
    TokenRelevance,
    sample_sets,
)
from uq_harness.functional import FloatArray
from uq_harness.saved._read import SavedAnswer, SavedSample, SavedSet

# What a need that takes the model lacks in a file, in words.
_OF_THE_MODEL: dict[type[Need[Any]], str] = {
    HeadGradient: "gradients, which take the model",
    StateGradient: "gradients, which take the model",
    ContinuationLogProb: "the model's verdict on the answer",
    SampleStates: "the model's hidden states",
    RescoredLogProb: "log-probabilities of the samples at another temperature, which take the model",
    AnswersGivenAnswers: "log-probabilities of answers after other answers, which take the model",
    DiverseBeams: "answers of a diverse beam search",
}
# What the texts of a set suffice for, with the auxiliary models.
_OF_TEXTS = (Samples, PairwiseEntailment, AnswerEntailment, PairwiseSimilarity)


def missing(need: Need[Any], saved: SavedAnswer) -> str | None:
    """What a saved answer lacks for a need; ``None`` where it has all.

    Comparisons of texts lack nothing if their texts are there: the auxiliary models make them.
    """
    if isinstance(need, AnswerLogProbs):
        return "token log-probabilities of the answer" if saved.logprobs is None else None
    if isinstance(need, AnswerEntropies):
        return "entropies of the answer's tokens" if saved.entropies is None else None
    for kind in (type(need), type(need.sample_set)):
        if kind in _OF_THE_MODEL:
            return _OF_THE_MODEL[kind]
    samples = need.sample_set
    if not isinstance(samples, Samples):
        return f"{type(need).__name__}, which no file can hold"
    found = serving(samples, saved.sets)
    if found is None:
        return _no_set(samples, saved.sets)
    if isinstance(need, SampleLogProbs):
        unknown = any(sample.logprobs is None for sample in found.samples)
        return "token log-probabilities of the samples" if unknown else None
    if isinstance(need, TokenRelevance):
        return "texts of the samples' tokens" if any(sample.tokens is None for sample in found.samples) else None
    return None if isinstance(need, _OF_TEXTS) else f"{type(need).__name__}, which no file can hold"


def serving(samples: Samples, sets: Iterable[SavedSet]) -> SavedSet | None:
    """The set that serves a need for samples: one that says nothing of how it was drawn serves every need.

    Of several, the one that says most; of those that say the same, the one with the most samples.

    >>> some, warm = SavedSet((SavedSample("a"),)), SavedSet((SavedSample("b"),), {"temperature": 0.7})
    >>> serving(Samples(10, 0.7), [some, warm]) is warm, serving(Samples(10, 1.0), [some, warm]) is some
    (True, True)
    """
    fitting = [
        one for one in sets if one.samples and all(getattr(samples, name) == v for name, v in one.conditions.items())
    ]
    return max(fitting, key=lambda one: (len(one.conditions), len(one.samples)), default=None)


def _no_set(samples: Samples, sets: Sequence[SavedSet]) -> str:
    if not any(one.samples for one in sets):
        return "sampled answers"
    wanted = {"temperature": samples.temperature, "top_p": samples.top_p, "top_k": samples.top_k}
    neutral = {"top_p": 1.0, "top_k": 0}
    told = ", ".join(f"{name} {value:g}" for name, value in wanted.items() if value != neutral.get(name))
    return f"samples drawn with {told}"


class Vocabulary:
    """Numbers for the texts of tokens, so that answers can be put together without some of them."""

    SPECIAL = 0

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._texts: list[str] = [""]

    def encode(self, sample: SavedSample, place: str) -> tuple[int, ...]:
        """The sample's tokens as numbers; tokens behind the end of its text are special.

        Raises:
            UQHarnessError: The tokens do not make up the text.
        """
        tokens = sample.tokens or ()
        text = sample.text.strip()
        counts = (count for count in range(len(tokens), -1, -1) if "".join(tokens[:count]).strip() == text)
        end = next(counts, None)
        if end is None:
            raise UQHarnessError(
                f"{place}: the tokens {list(tokens)} do not make up the text {sample.text!r}: give their decoded "
                "texts, spaces included"
            )
        return tuple(self._number(token) for token in tokens[:end]) + (self.SPECIAL,) * (len(tokens) - end)

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of tokens, special ones left out."""
        return "".join(self._texts[number] for number in numbers)

    def _number(self, token: str) -> int:
        if token not in self._numbers:
            self._numbers[token] = len(self._texts)
            self._texts.append(token)
        return self._numbers[token]


def evidence_of(saved: SavedAnswer, needs: Iterable[Need[Any]], vocabulary: Vocabulary) -> Evidence:
    """The evidence that a saved answer holds for some needs, before any texts are compared.

    As many samples are taken as a need counts, or all where there are fewer. A log-probability that is ``null`` in the
    file makes undefined what reads the log-probabilities, and nothing else.
    """
    sets: dict[SampleSet, tuple[Sample, ...]] = {}
    for wanted in sample_sets(needs):
        found = serving(wanted, saved.sets) if isinstance(wanted, Samples) else None
        if isinstance(wanted, Samples) and found is not None:
            sets[wanted] = tuple(_sample(sample, saved.place, vocabulary) for sample in found.samples[: wanted.count])
    unknown: dict[Need[Any], Sequence[FloatArray | None]] = {
        AnswerLogProbs(): [saved.logprobs],
        AnswerEntropies(): [saved.entropies],
        **{SampleLogProbs(one): [sample.logprobs for sample in drawn] for one, drawn in sets.items()},
    }
    return Evidence(
        question=saved.question,
        answer=Answer(saved.answer, (), saved.logprobs, saved.entropies, complete=True),
        values=dict(sets.items()),
        undefined=frozenset(need for need, arrays in unknown.items() if any(map(_has_null, arrays))),
    )


def _sample(sample: SavedSample, place: str, vocabulary: Vocabulary) -> Sample:
    tokens = () if sample.tokens is None else vocabulary.encode(sample, place)
    return Sample(sample.text, tokens, sample.logprobs, complete=True)


def _has_null(values: FloatArray | None) -> bool:
    return values is not None and bool(np.isnan(values).any())
