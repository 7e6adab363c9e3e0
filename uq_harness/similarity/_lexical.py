"""Comparisons of words, for runs without any model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from uq_harness.functional import FloatArray
from uq_harness.similarity._services import CONTRADICTION, ENTAILMENT, Pair
from uq_harness.text import normalize_answer, token_f1

LEXICAL = "lexical"


class Lexical:
    """A pair model that is a function of the two texts."""

    pairs_cut = 0

    def __init__(self, row: Callable[[str, str], Sequence[float]]) -> None:
        self._row = row

    def prepare(self) -> None:
        """Nothing to load."""

    def describe(self) -> dict[str, Any]:
        """The name alone: nothing can be set."""
        return {"model": LEXICAL}

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        """The function's values, shape ``[pairs, columns]``."""
        return np.array([self._row(*pair) for pair in pairs], dtype=np.float64)


def equal_or_contradicting(premise: str, hypothesis: str) -> list[float]:
    """Entailment 1 if the texts are equal after `normalize_answer`, else contradiction 1.

    >>> equal_or_contradicting("Who? The Beatles", "who? Beatles.")
    [1.0, 0.0, 0.0]
    """
    probabilities = [0.0, 0.0, 0.0]
    equal = normalize_answer(premise) == normalize_answer(hypothesis)
    probabilities[ENTAILMENT if equal else CONTRADICTION] = 1.0
    return probabilities


def shared_words(first: str, second: str) -> list[float]:
    """Token F1.

    >>> shared_words("the red dog", "a dog")
    [0.6666666666666666]
    """
    return [token_f1(first, second)]
