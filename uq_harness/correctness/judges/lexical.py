"""The judges that compare words: exact match, token F1, token recall and ROUGE-L."""

from __future__ import annotations

import functools
import re
import unicodedata
from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from uq_harness.correctness.base import ReferenceJudge, Triple, register_judge
from uq_harness.functional.text import ARTICLES, f1_of_tokens, fold, tokens

IGNORE, COUNT = "ignore", "count"
_RUNS = re.compile(r"[a-z0-9]+|[^a-z0-9\s]+")


@dataclass(frozen=True)
class LexicalJudge(ReferenceJudge):
    """A judge that compares the words of an answer with those of a reference.

    References often restate the question, so a wrong answer that does the same shares most of their words. The
    question's words therefore do not count: they are left out of answer and reference. A reference with no other word
    ("the sun", asked whether the sun or the moon is larger) is compared whole, with the whole answer.

    Attributes:
        threshold: The smallest score of a correct answer.
        question_words: ``ignore`` leaves the question's words out of answer and reference, ``count`` compares all
            words.
    """

    threshold: float = 0.5
    question_words: str = field(default=IGNORE, kw_only=True)

    def __post_init__(self) -> None:
        """Checks the options."""
        super().__post_init__()
        if self.question_words not in (IGNORE, COUNT):
            self.refuse("question_words", f"{IGNORE} or {COUNT}")

    def words(self, text: str) -> list[str]:
        """The words that are compared: those of SQuAD's normalisation."""
        return tokens(text)

    @abstractmethod
    def compare(self, answer: list[str], reference: list[str]) -> float:
        """A number in [0, 1] for two lists of words, neither of them empty."""

    def score_triples(self, triples: Sequence[Triple]) -> list[float]:
        """Compares answer with reference, less the words of the question."""
        words = {text: self.words(text) for text in {text for triple in triples for text in triple}}
        asked = {triple.question: frozenset(words[triple.question]) for triple in triples}
        return [self._score(triple, words, asked[triple.question]) for triple in triples]

    def _score(self, triple: Triple, words: Mapping[str, list[str]], asked: Collection[str]) -> float:
        answer, reference = words[triple.answer], words[triple.reference]
        if not answer or not reference:
            # A name like "The The" has no word left: only the same text says the same, never another wordless answer.
            return float(fold(triple.answer).strip() == fold(triple.reference).strip())
        if self.question_words == IGNORE:
            answer, reference = _beyond(asked, answer, reference)
        return self.compare(answer, reference) if answer else 0.0


def _beyond(asked: Collection[str], answer: list[str], reference: list[str]) -> tuple[list[str], list[str]]:
    """Answer and reference without the words that were asked; both whole if the reference has no other word."""
    rest = [word for word in reference if word not in asked]
    if all(word in ARTICLES for word in rest):
        return answer, reference
    return [word for word in answer if word not in asked], rest


@register_judge
@dataclass(frozen=True)
class ExactMatch(LexicalJudge):
    """1 if answer and reference are the same words in the same order, else 0 (Rajpurkar et al. 2016).

    Equality does not allow a share of the question's words, so all words count unless one asks for less.
    """

    name: ClassVar[str] = "exact_match"
    threshold: float = 1.0
    question_words: str = field(default=COUNT, kw_only=True)

    def compare(self, answer: list[str], reference: list[str]) -> float:
        """Equality."""
        return float(answer == reference)


@register_judge
@dataclass(frozen=True)
class F1(LexicalJudge):
    """Harmonic mean of the precision and recall of words (Rajpurkar et al. 2016)."""

    name: ClassVar[str] = "f1"

    def compare(self, answer: list[str], reference: list[str]) -> float:
        """``2 · shared / (words of the answer + words of the reference)``."""
        return f1_of_tokens(answer, reference)


@register_judge
@dataclass(frozen=True)
class TokenRecall(LexicalJudge):
    """Share of the reference's words that the answer contains, so that a full sentence is not punished.

    Proposed for answers of chat models by Adlakha et al. 2023, arXiv 2307.16877. One of two words is too little to go
    by, so an answer is correct that has more than the threshold's share.

    Attributes:
        strict: Whether a score equal to the threshold is too low.
    """

    name: ClassVar[str] = "token_recall"
    strict: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        """Checks the options."""
        super().__post_init__()
        if not isinstance(self.strict, bool):
            self.refuse("strict", "true or false")
        if self.strict and self.threshold == 1:
            self.refuse("threshold", "a number below 1, which a correct answer exceeds, or strict=false")

    def correct(self, score: float) -> bool:
        """Whether a score means a correct answer: it exceeds the threshold, or equals it where that is enough."""
        return score > self.threshold or (not self.strict and score == self.threshold)

    def compare(self, answer: list[str], reference: list[str]) -> float:
        """``shared / words of the reference``, counted with repetition."""
        return (Counter(answer) & Counter(reference)).total() / len(reference)


@register_judge
@dataclass(frozen=True)
class RougeL(LexicalJudge):
    """F-measure of the longest common subsequence of words (Lin 2004), by the rouge-score package."""

    name: ClassVar[str] = "rouge_l"

    def words(self, text: str) -> list[str]:
        """rouge-score's words (runs of a-z and 0-9, articles stay), and the runs of all other letters.

        rouge-score on its own drops what is not ASCII, which leaves nothing of an answer in another script.
        """
        kept = (c if unicodedata.category(c)[0] in "LMN" else " " for c in fold(text))
        return _RUNS.findall("".join(kept))

    def compare(self, answer: list[str], reference: list[str]) -> float:
        """``2PR / (P + R)`` with the subsequence's share of the answer (P) and of the reference (R)."""
        measure = _scorer().score(" ".join(reference), " ".join(answer))["rougeL"].fmeasure
        # Equal ratios come out of 2PR / (P + R) with different last digits, and would no longer tie.
        return round(float(measure), 12)


class _Spaces:
    """The tokeniser for rouge-score; the words are known already."""

    def tokenize(self, text: str) -> list[str]:
        return text.split()


@functools.cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=_Spaces())
