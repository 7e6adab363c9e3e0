"""The base of the judges that compare words."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from uq_harness.correctness.base import ReferenceJudge, Triple
from uq_harness.functional.text import ARTICLES, fold, tokens

IGNORE, COUNT = "ignore", "count"


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
