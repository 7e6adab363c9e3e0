"""Saved answers as a backend: the evidence that a file holds, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uq_harness.backends.saved.read import SavedAnswer, SavedSample, SavedSet
from uq_harness.backends.vocabulary import Vocabulary
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import (
    AlternativeEntailment,
    Alternatives,
    Answer,
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
    Evidence,
    HeadGradient,
    LikeliestTokens,
    Need,
    PairwiseEntailment,
    PairwiseSimilarity,
    RescoredLogProb,
    Sample,
    SampleLogits,
    SampleLogProbs,
    Samples,
    SampleSet,
    SampleStates,
    SelfAttention,
    StateGradient,
    TokenRelevance,
    TokenStatistic,
    UnconditionalLogProbs,
    VocabularySize,
    sample_sets,
)
from uq_harness.evidence.prompt import Prompt, StopCriteria
from uq_harness.functional import FloatArray
from uq_harness.functional.statistics import DistributionSums, Statistic

# What is missing in a file for a need that takes the model, in words.
_OF_THE_MODEL: dict[type[Need[Any]], str] = {
    HeadGradient: "gradients, which take the model",
    StateGradient: "gradients, which take the model",
    ContinuationLogProb: "the model's verdict on the answer",
    ComparedContinuationLogProb: "the model's choice among its answers",
    DrawLogProbs: "log-probabilities of the samples under the law they were drawn from, which take the model",
    SampleStates: "the model's hidden states",
    SampleLogits: "logits of the samples, which take the model",
    RescoredLogProb: "log-probabilities of the samples at another temperature, which take the model",
    SelfAttention: "attention weights, which take the model",
    AnswerAttention: "attention weights, which take the model",
    VocabularySize: "the size of the model's vocabulary",
    UnconditionalLogProbs: "log-probabilities of the answer without its question, which take the model",
    AnswersGivenAnswers: "log-probabilities of answers after other answers, which take the model",
}
_NO_LIKELIEST = "the likeliest tokens at each of the answer's (token_top_logprobs), which take the model"
# What the texts of a set suffice for, with the auxiliary models.
_OF_TEXTS = (Samples, DiverseBeams, PairwiseEntailment, AnswerEntailment, PairwiseSimilarity, AnswerSimilarity)


@dataclass(frozen=True)
class SavedPrompt(Prompt):
    """The prompt of a saved answer.

    Attributes:
        saved: The answer.
    """

    saved: SavedAnswer | None = None

    @classmethod
    def of(cls, saved: SavedAnswer) -> SavedPrompt:
        """The prompt that was answered."""
        return cls(saved.question, saved.question, (), -1, saved=saved)


# Saved answers have ended already.
NO_STOP = StopCriteria(frozenset(), 0, read=lambda tokens: ("", range(0)))


class SavedBackend:
    """Saved answers that hold the same kinds of things, as a backend: gathers what the file has.

    Args:
        example: One of the answers.

    Attributes:
        special_ids: The number that stands for tokens behind the end of an answer's text.
    """

    def __init__(self, example: SavedAnswer) -> None:
        self._example = example
        self._vocabulary = Vocabulary()
        self._needs: tuple[Need[Any], ...] = ()
        self.special_ids = frozenset({Vocabulary.SPECIAL})

    def missing(self, need: Need[Any]) -> str | None:
        """What the answers do not have for a need, in words; ``None`` where they have everything.

        Nothing is missing for comparisons of texts if their texts are there: the auxiliary models make them.
        """
        saved = self._example
        if isinstance(need, AnswerLogProbs):
            return "token log-probabilities of the answer" if saved.logprobs is None else None
        if isinstance(need, AnswerEntropies):
            return "entropies of the answer's tokens" if saved.entropies is None else None
        if isinstance(need, TokenStatistic):
            return _missing_statistic(need.statistic, saved)
        if isinstance(need, AlternativeEntailment):
            return self.missing(need.alternatives)
        if isinstance(need, LikeliestTokens):
            return _missing_alternatives(need.count, saved)
        if isinstance(need, ConfidenceReply):
            told = saved.confidence_reply is not None
            return None if told else "what the model replies when asked about its answer (confidence_reply)"
        if type(need) in _OF_THE_MODEL:
            return _OF_THE_MODEL[type(need)]
        samples = need.sample_set
        if samples is None:
            return f"{type(need).__name__}, which no file can hold"
        found = serving(samples, saved.sets)
        if found is None:
            return what_set(samples, saved.sets)
        if isinstance(need, SampleLogProbs):
            unknown = any(sample.logprobs is None for sample in found.samples)
            return "token log-probabilities of the samples" if unknown else None
        if isinstance(need, TokenRelevance):
            return "texts of the samples' tokens" if any(sample.tokens is None for sample in found.samples) else None
        return None if isinstance(need, _OF_TEXTS) else f"{type(need).__name__}, which no file can hold"

    def prepare(self, needs: Sequence[Need[Any]]) -> None:
        """Notes what is to be gathered."""
        self._needs = tuple(needs)

    def gather(
        self, prompts: Sequence[Prompt], stop: StopCriteria, size: int
    ) -> Iterator[tuple[list[int], list[Evidence]]]:
        """The evidence that the file holds about the answers of `SavedPrompt`s, in their order.

        Raises:
            UQHarnessError: A sample's tokens do not make up its text.
        """
        for start in range(0, len(prompts), size):
            batch = range(start, min(start + size, len(prompts)))
            saved = [prompt.saved for row in batch if isinstance(prompt := prompts[row], SavedPrompt)]
            yield list(batch), [self.evidence(one) for one in saved if one is not None]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, special ones left out."""
        return self._vocabulary.decode(tokens)

    def describe(self) -> dict[str, Any]:
        """Nothing: the file is in the configuration."""
        return {}

    def evidence(self, saved: SavedAnswer) -> Evidence:
        """The evidence that a saved answer holds, before any texts are compared.

        As many samples are taken as a need counts, or all where there are fewer. A log-probability that is ``null`` in
        the file makes undefined what reads the log-probabilities, and nothing else.

        Raises:
            UQHarnessError: A sample's tokens do not make up its text.
        """
        sets: dict[SampleSet, tuple[Sample, ...]] = {}
        for wanted in sample_sets(self._needs):
            found = serving(wanted, saved.sets)
            if found is not None:
                sets[wanted] = tuple(self._sample(one, saved.place) for one in taken(wanted, found))
        unknown: dict[Need[Any], Sequence[FloatArray | None]] = {
            AnswerLogProbs(): [saved.logprobs],
            AnswerEntropies(): [saved.entropies],
            **{SampleLogProbs(one): [sample.logprobs for sample in drawn] for one, drawn in sets.items()},
        }
        values: dict[Need[Any], Any] = dict(sets.items())
        values |= {need: saved.confidence_reply for need in self._needs if isinstance(need, ConfidenceReply)}
        return Evidence(
            question=saved.question,
            answer=Answer(saved.answer, None, saved.logprobs, saved.entropies, complete=None),
            values=values | self._of_distributions(saved),
            undefined=frozenset(need for need, arrays in unknown.items() if any(map(_has_null, arrays))),
        )

    def _of_distributions(self, saved: SavedAnswer) -> dict[Need[Any], Any]:
        """What the likeliest tokens at each of the answer's tell."""
        told = saved.alternatives
        if told is None or saved.logprobs is None:
            return {}
        sums = DistributionSums(chosen=saved.logprobs, likeliest=told.logprobs)
        found: dict[Need[Any], Any] = {}
        for need in self._needs:
            if isinstance(need, TokenStatistic):
                found[need] = need.statistic.of(sums) if len(saved.logprobs) else np.empty(0)
            elif isinstance(need, LikeliestTokens) and told.own is not None:
                listed = np.array([self._words(one) for one in told.texts or ()]).reshape(told.logprobs.shape)
                found[need] = Alternatives.of(self._words(told.own), saved.logprobs, listed, told.logprobs, need.count)
        return found

    def _words(self, texts: Iterable[str]) -> list[int]:
        """Numbers of tokens' texts; one without text is special."""
        return [self._vocabulary.number(text) if text else Vocabulary.SPECIAL for text in texts]

    def _sample(self, sample: SavedSample, place: str) -> Sample:
        return Sample(sample.text, self._numbers(sample, place), sample.logprobs, complete=True)

    def _numbers(self, sample: SavedSample, place: str) -> tuple[int, ...]:
        if sample.tokens is None:
            return ()
        numbers = self._vocabulary.encode(sample.tokens, sample.text)
        if numbers is None:
            raise UQHarnessError(
                f"{place}: the tokens {list(sample.tokens)} do not make up the text {sample.text.strip()!r}: give "
                "their decoded texts, spaces included"
            )
        return numbers


def _missing_statistic(statistic: Statistic, saved: SavedAnswer) -> str | None:
    if statistic.reads_everything:
        return "the whole distributions of the answer's tokens, which take the model"
    if saved.alternatives is None:
        return _NO_LIKELIEST
    return saved.alternatives.lacks(2 if statistic.reads_gaps else statistic.n_likeliest)


def _missing_alternatives(count: int, saved: SavedAnswer) -> str | None:
    told = saved.alternatives
    if told is None:
        return _NO_LIKELIEST
    if told.own is None or (told.texts is None and len(told.logprobs)):
        return "texts of the answer's tokens (tokens) and of the likeliest ones (pairs in token_top_logprobs)"
    return told.lacks(count)


def serving(samples: SampleSet, sets: Iterable[SavedSet]) -> SavedSet | None:
    """The set that serves a need for samples: one that says nothing of how it was drawn serves every need.

    Of several, the one that says most. Answers of a diverse beam search depend on its groups and penalty, so only a set
    that says both serves.

    >>> some, warm = SavedSet((SavedSample("a"),)), SavedSet((SavedSample("b"),), {"temperature": 0.7})
    >>> serving(Samples(10, 0.7), [some, warm]) is warm, serving(Samples(10, 1.0), [some, warm]) is some
    (True, True)
    """
    if isinstance(samples, DiverseBeams):
        whole = {"groups": samples.groups, "penalty": samples.penalty}
        return next((one for one in sets if one.conditions == whole and one.samples), None)
    fitting = [
        one
        for one in sets
        if one.samples and all(getattr(samples, name, None) == value for name, value in one.conditions.items())
    ]
    return max(fitting, key=lambda one: len(one.conditions), default=None)


def taken(samples: SampleSet, found: SavedSet) -> tuple[SavedSample, ...]:
    """Those of a set's samples that serve a need: as many as it counts, or all where there are fewer."""
    return found.samples[: samples.count if isinstance(samples, Samples) else samples.groups]


def what_set(samples: SampleSet, sets: Sequence[SavedSet]) -> str:
    """In words, what set is missing."""
    if isinstance(samples, DiverseBeams):
        return "answers of a diverse beam search"
    if not any(one.samples for one in sets):
        return "sampled answers"
    wanted = {"temperature": samples.temperature, "top_p": samples.top_p, "top_k": samples.top_k}
    neutral = {"top_p": 1.0, "top_k": 0}
    told = ", ".join(f"{name} {value:g}" for name, value in wanted.items() if value != neutral.get(name))
    return f"samples drawn with {told}"


def _has_null(values: FloatArray | None) -> bool:
    return values is not None and bool(np.isnan(values).any())
