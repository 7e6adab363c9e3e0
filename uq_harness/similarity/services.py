"""The two services, whatever model they use: each distinct pair is scored once, as long as it is remembered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from uq_harness.batching import lock_of
from uq_harness.evidence import CONTRADICTION, ENTAILMENT
from uq_harness.functional import FloatArray
from uq_harness.functional.text import normalize_answer, token_f1
from uq_harness.similarity.memory import Pair, PairMemory


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


class Compared(NamedTuple):
    """What is known about some pairs.

    Attributes:
        rows: One row a pair, shape ``[pairs, columns]``.
        new: Whether the pair went through the model for it, shape ``[pairs]``: the first of equal ones that were not
            remembered.
    """

    rows: FloatArray
    new: NDArray[np.bool_]


class Service:
    """A pair model with a memory for pairs: in one call and from call to call, whatever thread makes them.

    Args:
        model: The pair model.
        cache_size: The most pairs that are remembered from call to call; 0 for none.

    Attributes:
        pairs_scored: Pairs that went through the model so far.
    """

    columns: int

    def __init__(self, model: PairModel, cache_size: int) -> None:
        self._model, self._memory = model, PairMemory(cache_size)
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

    def forget(self) -> None:
        """Forgets the pairs of earlier calls, so that they go through the model again."""
        with lock_of(self):
            self._memory.clear()

    def compare(self, pairs: Sequence[Pair]) -> Compared:
        """The row of each pair, and whether it was new.

        Raises:
            UQHarnessError: The model cannot be had, or memory does not hold a single pair.
        """
        with lock_of(self):  # of two threads that ask about a pair, one finds it remembered
            found = {pair: self._memory.get(pair) for pair in dict.fromkeys(pairs)}
            unknown = [pair for pair, row in found.items() if row is None]
            if unknown:
                for pair, row in zip(unknown, self._model.score(unknown), strict=True):
                    found[pair] = row
                    self._memory.put(pair, row)
                self.pairs_scored += len(unknown)
        rows = np.array([found[pair] for pair in pairs], dtype=np.float64).reshape(len(pairs), self.columns)
        waiting = set(unknown)
        new = np.zeros(len(pairs), dtype=np.bool_)
        for place, pair in enumerate(pairs):
            if pair in waiting:
                waiting.remove(pair)
                new[place] = True
        return Compared(rows, new)


class NLI(Service):
    """Natural language inference: what a premise says about a hypothesis. Made by `build_nli`."""

    columns = 3

    def probabilities(self, pairs: Sequence[Pair]) -> FloatArray:
        """Probabilities of entailment, neutral and contradiction for each (premise, hypothesis).

        Returns:
            Shape ``[pairs, 3]``; each row adds up to 1.

        Raises:
            UQHarnessError: The model cannot be had, or memory does not hold a single pair.
        """
        return self.compare(pairs).rows


class Similarity(Service):
    """How much the same two texts say. Made by `build_similarity`."""

    columns = 1

    def scores(self, pairs: Sequence[Pair]) -> FloatArray:
        """The similarity of each pair, in the order given: a model need not be symmetric.

        Returns:
            Shape ``[pairs]``, in [0, 1]; ``nan`` where the model's own output is.

        Raises:
            UQHarnessError: The model cannot be had, or memory does not hold a single pair.
        """
        return self.compare(pairs).rows[:, 0]


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
