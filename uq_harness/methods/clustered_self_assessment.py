"""Clustered self-assessment: the model chooses among the meanings that its own answers had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, ClassVar

import numpy as np

from uq_harness.evidence import (
    CONTRADICTION,
    ENTAILMENT,
    NEUTRAL,
    AnswerEntailment,
    ComparedContinuationLogProb,
    Evidence,
    Need,
    PairwiseEntailment,
    Samples,
)
from uq_harness.functional import FloatArray
from uq_harness.methods.base import register_method
from uq_harness.methods.entailment import clusters_of_meaning
from uq_harness.methods.p_true import IMPOSSIBLE
from uq_harness.methods.semantic_entropy import MeaningClustersMethod
from uq_harness.methods.sets import ALL_ALONE

# The last letter is that of no answer.
_MOST_MEANINGS = len(ascii_uppercase) - 1


def multiple_choice(question: str, answers: Sequence[str]) -> str:
    """The question with answers to choose from by their letters, up to the letter that is chosen.

    >>> print(multiple_choice("Which city?", ["Paris", "Lyon"]))
    Choose the letter of the correct answer. If every answer is wrong, choose C.
    <BLANKLINE>
    Question: Which city?
    A) Paris
    B) Lyon
    C) All of these are wrong
    Correct letter:
    """
    options = [*answers, "All of these are wrong"]
    lines = [f"{letter}) {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    return (
        f"Choose the letter of the correct answer. If every answer is wrong, choose {lines[-1][0]}.\n\n"
        f"Question: {question}\n" + "\n".join(lines) + "\nCorrect letter:"
    )


@dataclass(frozen=True)
class ChoiceOfMeanings:
    """Makes the prompt that has one option for each meaning of the greedy answer and its samples.

    Attributes:
        samples: The samples.
        strict: See `functional.cluster_by_entailment`.
    """

    samples: Samples
    strict: bool

    def __call__(self, evidence: Evidence) -> str | None:
        """The prompt; ``None`` where a pair of answers has no label, or the greedy answer is empty."""
        meanings = self.meanings(evidence)
        return None if meanings is None else multiple_choice(evidence.question, meanings)

    def meanings(self, evidence: Evidence) -> list[str] | None:
        """The first answer of each meaning, the greedy answer before all others; see `__call__`."""
        texts = [_one_line(text) for text in (evidence.answer.text, *(one.text for one in evidence[self.samples]))]
        if not texts[0]:
            return None
        kept = [place for place, text in enumerate(texts) if text]
        texts = [texts[place] for place in kept]
        between = _between_all(evidence[AnswerEntailment(self.samples)], evidence[PairwiseEntailment(self.samples)])
        between = between[np.ix_(kept, kept)]
        equal = np.equal.outer(np.array(texts, dtype=object), np.array(texts, dtype=object)).astype(bool)
        between[equal] = np.eye(3)[ENTAILMENT]
        clusters = clusters_of_meaning(between, strict=self.strict)
        if clusters is None:
            return None
        _, first = np.unique(clusters, return_index=True)
        return [texts[place] for place in first[:_MOST_MEANINGS]]


@register_method
@dataclass(frozen=True)
class ClusteredSelfAssessment(MeaningClustersMethod):
    """``-log p(" A")`` after the question with a letter for each meaning of its answers, A for the greedy one's."""

    name: ClassVar[str] = "clustered_self_assessment"
    title: ClassVar[str] = "Clustered self-assessment"
    source: ClassVar[str] = "Cao et al. 2026, arXiv 2606.03846"
    cost: ClassVar[str] = "10 samples, NLI between all pairs, a forward pass over question and meanings"
    sets: ClassVar[frozenset[str]] = ALL_ALONE

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples, the entailment between all answers, and the log-probability of the greedy answer's letter."""
        return (*super().needs(), AnswerEntailment(self.samples), self._choice)

    def score(self, evidence: Evidence) -> float:
        """Nats; `IMPOSSIBLE` where the letter's probability is 0, and of an empty answer, which no letter stands for.

        ``nan`` where a pair of answers has no label, or the prompt does not fit into the model's context.
        """
        if not _one_line(evidence.answer.text):
            return IMPOSSIBLE
        return min(-evidence[self._choice], IMPOSSIBLE)

    @property
    def _choice(self) -> ComparedContinuationLogProb:
        prompt = ChoiceOfMeanings(self.samples, strict=self.entailment == "strict")
        return ComparedContinuationLogProb(self.samples, prompt, " A")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _between_all(with_answer: FloatArray, between_samples: FloatArray) -> FloatArray:
    """NLI probabilities between all ordered pairs of the greedy answer, which comes first, and the samples."""
    count = len(between_samples) + 1
    found = np.zeros((count, count, len({ENTAILMENT, NEUTRAL, CONTRADICTION})))
    found[1:, 1:] = between_samples
    found[0, 1:], found[1:, 0] = with_answer[:, 0], with_answer[:, 1]
    found[0, 0, ENTAILMENT] = 1.0
    return found
