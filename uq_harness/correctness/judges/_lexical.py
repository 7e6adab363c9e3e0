"""The base of the judges that compare words."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from uq_harness.correctness._base import ReferenceJudge, Triple
from uq_harness.text import tokens


@dataclass(frozen=True)
class LexicalJudge(ReferenceJudge):
    """A judge that compares the words of an answer with those of a reference."""

    threshold: float = 0.5

    def words(self, text: str) -> list[str]:
        """The words that are compared: those of SQuAD's normalisation."""
        return tokens(text)

    @abstractmethod
    def compare(self, answer: list[str], reference: list[str]) -> float:
        """A number in [0, 1] for two lists of words, neither of them empty."""

    def score_triples(self, triples: Sequence[Triple]) -> list[float]:
        """Compares answer with reference; the question does not matter."""
        texts = {text for triple in triples for text in (triple.answer, triple.reference)}
        words = {text: self.words(text) for text in texts}
        return [self._score(triple.answer, triple.reference, words) for triple in triples]

    def _score(self, answer: str, reference: str, words: dict[str, list[str]]) -> float:
        if words[answer] and words[reference]:
            return self.compare(words[answer], words[reference])
        # A name like "The The" has no word left: only the same text says the same, never another wordless answer.
        return float(answer.strip().lower() == reference.strip().lower())
