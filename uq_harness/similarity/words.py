"""An answer's tokens and their alternatives as words: what is compared, and what needs no model."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from uq_harness.evidence import CONTRADICTION, ENTAILMENT, NEUTRAL
from uq_harness.functional import FloatArray
from uq_harness.similarity.memory import Pair

_PART_OF_A_CHARACTER = "\ufffd"


def bare_word(text: str) -> str:
    """A token's text without white space and punctuation around it.

    >>> bare_word(" don't,"), bare_word("«Да»"), bare_word(" -"), bare_word("✈")
    ("don't", 'Да', '', '✈')
    """
    meant = [place for place, character in enumerate(text) if not _is_around_words(character)]
    return text[meant[0] : meant[-1] + 1] if meant else ""


def _is_around_words(character: str) -> bool:
    return character.isspace() or character in string.punctuation or unicodedata.category(character).startswith("P")


@dataclass(frozen=True)
class WordAlternatives:
    """Request: each of an answer's tokens against its alternatives, in both directions, without the question.

    Some pairs are not asked about. Equal words entail each other. What says nothing by itself is neutral: an empty
    word, as of a comma or the end-of-sequence token, against any other, and a part of a character.

    Attributes:
        words: For each token its own word and those of its alternatives, the same number for each.
    """

    words: tuple[tuple[str, ...], ...]

    def pairs(self) -> list[Pair]:
        """For each alternative that is asked about (token, alternative) and (alternative, token)."""
        asked = [(own, other) for own, other in self._alternatives() if _known(own, other) is None]
        return [pair for own, other in asked for pair in ((own, other), (other, own))]

    def arrange(self, rows: FloatArray) -> FloatArray:
        """Both directions' rows, shape ``[tokens, alternatives, 2, 3]``, the token itself among its alternatives."""
        both_ways = iter(rows.reshape(-1, 2, 3))
        labels = [_known(own, other) for own, other in self._alternatives()]
        each = [next(both_ways) if label is None else _certain(label) for label in labels]
        count = len(self.words[0]) if self.words else 0
        return np.array(each, dtype=np.float64).reshape(len(self.words), count, 2, 3)

    def _alternatives(self) -> Iterator[Pair]:
        return ((own, other) for own, *others in self.words for other in (own, *others))


def _known(own: str, other: str) -> int | None:
    """The label of two words in both directions; ``None`` where the model has to say it."""
    if _PART_OF_A_CHARACTER in own + other:
        return NEUTRAL
    if own == other:
        return ENTAILMENT
    return None if own and other else NEUTRAL


def _certain(label: int) -> FloatArray:
    """Probability 1 for a label, in both directions."""
    return np.eye(CONTRADICTION + 1)[[label, label]]
