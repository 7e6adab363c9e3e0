"""A saved answer as evidence for the chosen methods, with absent fields that say so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from uq_harness.errors import UQHarnessError
from uq_harness.evidence import (
    Answer,
    AnswersGivenAnswers,
    ContinuationLogProb,
    DiverseBeams,
    Evidence,
    HeadGradient,
    Need,
    RescoredLogProb,
    Sample,
    SampledLogProbs,
    Samples,
    SampleSet,
    SampleStates,
    StateGradient,
    TokenRelevance,
)
from uq_harness.saved._absent import Absent
from uq_harness.saved._read import SavedAnswer, SavedSample, SavedSet

_OF_THE_MODEL: dict[type[Any], str] = {
    HeadGradient: "gradients, which take the model",
    StateGradient: "gradients, which take the model",
    ContinuationLogProb: "the model's verdict on the answer",
    SampledLogProbs: "log-probabilities of the samples under the law they were drawn from, which take the model",
    SampleStates: "the model's hidden states",
    RescoredLogProb: "log-probabilities of the samples at another temperature, which take the model",
    AnswersGivenAnswers: "log-probabilities of answers after other answers, which take the model",
    DiverseBeams: "answers of a diverse beam search",
}


def lacking(need: Need, saved: SavedAnswer) -> str | None:
    """What a saved answer lacks for a need; ``None`` where it has all.

    Comparisons of texts lack nothing if their texts are there: the auxiliary models make them.
    """
    if type(need) in _OF_THE_MODEL:
        return _OF_THE_MODEL[type(need)]
    samples = need if isinstance(need, Samples) else getattr(need, "samples", None)
    if isinstance(samples, DiverseBeams):
        return _OF_THE_MODEL[DiverseBeams]
    if not isinstance(samples, Samples):
        return f"{type(need).__name__}, which no file can hold"
    found = serving(samples, saved.sets)
    if found is None:
        return _no_set(samples, saved.sets)
    if isinstance(need, TokenRelevance) and any(sample.tokens is None for sample in found.samples):
        return "texts of the samples' tokens"
    return None


def serving(samples: Samples, sets: Iterable[SavedSet]) -> SavedSet | None:
    """The set that serves a need for samples: one that says nothing of how it was drawn serves every need.

    Of several, the one that says most.

    >>> some, warm = SavedSet((SavedSample("a"),)), SavedSet((SavedSample("b"),), {"temperature": 0.7})
    >>> serving(Samples(10, 0.7), [some, warm]) is warm, serving(Samples(10, 1.0), [some, warm]) is some
    (True, True)
    """
    fitting = [
        one for one in sets if one.samples and all(getattr(samples, name) == v for name, v in one.conditions.items())
    ]
    return max(fitting, key=lambda one: len(one.conditions), default=None)


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
    UNFINISHED = 1  # a token that the next ones complete to a character

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._texts: list[str] = ["", ""]

    def encode(self, sample: SavedSample, place: str) -> tuple[int, ...]:
        """The sample's tokens as numbers; tokens behind the end of its text are special.

        A token without text writes a character together with those behind it.

        Raises:
            UQHarnessError: The tokens do not make up the text.
        """
        tokens = sample.tokens or ()
        text = sample.text.strip()
        counts = (count for count in range(len(tokens), -1, -1) if "".join(tokens[:count]).strip() == text)
        end = next(counts, None)
        while end and not tokens[end - 1]:
            end -= 1
        if end is None:
            raise UQHarnessError(
                f"{place}: the tokens {list(tokens)} do not make up the text {sample.text!r}: give their decoded "
                "texts, spaces included"
            )
        return tuple(self._number(token) for token in tokens[:end]) + (self.SPECIAL,) * (len(tokens) - end)

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of tokens, special ones left out; it ends with U+FFFD where a character is not finished."""
        unfinished = "\ufffd" if numbers and numbers[-1] == self.UNFINISHED else ""
        return "".join(self._texts[number] for number in numbers) + unfinished

    def _number(self, token: str) -> int:
        if not token:
            return self.UNFINISHED
        if token not in self._numbers:
            self._numbers[token] = len(self._texts)
            self._texts.append(token)
        return self._numbers[token]


def evidence_of(saved: SavedAnswer, needs: Iterable[Need], vocabulary: Vocabulary) -> Evidence:
    """The evidence that a saved answer holds for some needs, before texts are compared.

    Of a set, as many samples are taken as the need counts, or all where there are fewer.
    """
    sets: dict[SampleSet, tuple[Sample, ...]] = {}
    for need in needs:
        wanted = need if isinstance(need, Samples) else getattr(need, "samples", None)
        found = serving(wanted, saved.sets) if isinstance(wanted, Samples) else None
        if isinstance(wanted, Samples) and found is not None and wanted not in sets:
            sets[wanted] = tuple(_sample(sample, saved.place, vocabulary) for sample in found.samples[: wanted.count])
    return Evidence(question=saved.question, answer=_answer(saved), samples=sets)


def _answer(saved: SavedAnswer) -> Answer:
    return Answer(
        text=saved.answer,
        token_ids=(),
        logprobs=_or_absent(saved.logprobs, "token log-probabilities of the answer"),
        entropies=_or_absent(saved.entropies, "entropies of the answer's tokens"),
        complete=True,
    )


def _sample(sample: SavedSample, place: str, vocabulary: Vocabulary) -> Sample:
    return Sample(
        text=sample.text,
        token_ids=_or_absent(None, "texts of the samples' tokens")
        if sample.tokens is None
        else vocabulary.encode(sample, place),
        logprobs=_or_absent(sample.logprobs, "token log-probabilities of the samples"),
        complete=True,
    )


def _or_absent(value: Any, what: str) -> Any:
    return Absent(what) if value is None else value
