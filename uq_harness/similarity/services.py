"""The two services, whatever model they use: each distinct pair of a call is scored once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from uq_harness.evidence import CONTRADICTION, ENTAILMENT
from uq_harness.functional import FloatArray
from uq_harness.functional.text import normalize_answer, token_f1

Pair = tuple[str, str]


class PairModel(Protocol):
    """What scores pairs of texts.

    Attributes:
        pairs_cut: Pairs so far of which the model read only the ends, since they are too long for it.
    """

    pairs_cut: int

    def prepare(self) -> None:
        """Loads what there is to load."""

    def describe(self) -> dict[str, Any]:
        """The model and its settings, for the record of results."""

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        """One row for each of distinct pairs, shape ``[pairs, columns]``."""


class _Service:
    """A pair model with a memory for the pairs of one call.

    Attributes:
        pairs_scored: Pairs that went through the model so far.
    """

    columns: int

    def __init__(self, model: PairModel) -> None:
        self._model = model
        self.pairs_scored = 0

    @property
    def pairs_cut(self) -> int:
        """Pairs so far of which the model read only the ends, since they are too long for it."""
        return self._model.pairs_cut

    def prepare(self) -> None:
        """Loads the model.

        Raises:
            UQHarnessError: Model, device or a package cannot be had, or the model is of another kind.
        """
        self._model.prepare()

    def describe(self) -> dict[str, Any]:
        """The model and its settings, for the record of results."""
        return self._model.describe()

    def _rows(self, pairs: Sequence[Pair]) -> FloatArray:
        places = {pair: place for place, pair in enumerate(dict.fromkeys(pairs))}
        if not places:
            return np.empty((0, self.columns))
        rows = self._model.score(list(places))
        self.pairs_scored += len(places)
        return rows[[places[pair] for pair in pairs]]


class NLI(_Service):
    """Natural language inference: what a premise says about a hypothesis. Made by `build_nli`."""

    columns = 3

    def probabilities(self, pairs: Sequence[Pair]) -> FloatArray:
        """Probabilities of entailment, neutral and contradiction for each (premise, hypothesis).

        Returns:
            Shape ``[pairs, 3]``; each row adds up to 1.

        Raises:
            UQHarnessError: The model cannot be had, or memory does not hold a single pair.
        """
        return self._rows(pairs)


class Similarity(_Service):
    """How much the same two texts say. Made by `build_similarity`."""

    columns = 1

    def scores(self, pairs: Sequence[Pair]) -> FloatArray:
        """The similarity of each pair, in the order given: a model need not be symmetric.

        Returns:
            Shape ``[pairs]``, in [0, 1]; ``nan`` where the model's own output is.

        Raises:
            UQHarnessError: The model cannot be had, or memory does not hold a single pair.
        """
        return self._rows(pairs)[:, 0]


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
