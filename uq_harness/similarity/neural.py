"""Pairs through a network: longest first, in batches of similar length, smaller ones where memory runs out."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np

from uq_harness.batching import Room, in_shrinking_batches, lock_of
from uq_harness.errors import UQHarnessError
from uq_harness.functional import FloatArray
from uq_harness.similarity.loading import Settings
from uq_harness.similarity.services import Pair

log = logging.getLogger(__name__)


class Network(ABC):
    """A loaded network with its tokenizer.

    Attributes:
        max_length: The most tokens of a pair that it reads, special tokens included.
    """

    max_length: int

    @abstractmethod
    def text_lengths(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text, without special tokens."""

    @property
    @abstractmethod
    def special_tokens(self) -> int:
        """Number of special tokens around a pair."""

    @abstractmethod
    def forward(self, pairs: Sequence[Pair]) -> FloatArray:
        """One row for each pair of a batch, shape ``[pairs, columns]``."""


class _Measured(NamedTuple):
    """A pair and the number of its tokens that are read."""

    pair: Pair
    tokens: int


@dataclass
class _PairRoom(Room):
    """How many pairs go through a network; in tokens, once memory has run out, so that more of the shorter ones do.

    Attributes:
        name: How messages call the network.
        tokens: The most tokens of a batch; ``None`` before memory has run out.
    """

    name: str = ""
    tokens: int | None = None

    def fits(self, waiting: Sequence[_Measured], start: int = 0) -> int:
        """How many of the waiting pairs go together; none of them is longer than the one at the start."""
        size = self.size if self.tokens is None else max(1, min(self.size, self.tokens // waiting[start].tokens))
        return min(size, len(waiting) - start)

    def too_large(self, size: int, waiting: Sequence[_Measured]) -> int:
        """The size of the batch that memory did not hold: it has its own."""
        return self.fits(waiting)

    def shrink(self, size: int, waiting: Sequence[_Measured]) -> None:
        """Limits the tokens of a batch to those of half the pairs."""
        longest = waiting[0].tokens
        self.tokens = size // 2 * longest
        log.warning(
            "the %s ran out of memory with %d pairs of up to %d tokens and goes on with %d at a time, more where they "
            "are shorter",
            *(self.name, size, longest, size // 2),
        )


class NeuralPairModel:
    """Scores distinct pairs with a network that is loaded when it is first needed.

    Args:
        settings: The model and how it is run.
        load: Gives the network; the same one each time.
    """

    def __init__(self, settings: Settings, load: Callable[[Settings], Network]) -> None:
        self.pairs_cut = 0
        self._settings, self._load = settings, load
        self._room = _PairRoom(settings.batch_size, otherwise="", name=settings.role.name)

    def prepare(self) -> None:
        """Loads the network."""
        self._load(self._settings)

    def describe(self) -> dict[str, Any]:
        """The settings."""
        return self._settings.describe()

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        """One row for each of distinct pairs, shape ``[pairs, columns]``.

        Raises:
            UQHarnessError: The network cannot be had, or memory does not hold a single pair.
        """
        network = self._load(self._settings)
        with lock_of(network):  # every call sets up its tokenizer
            return self._score(network, pairs)

    def _score(self, network: Network, pairs: Sequence[Pair]) -> FloatArray:
        whole = _lengths(network, pairs)
        self._count_cuts(sum(length > network.max_length for length in whole), len(pairs), network.max_length)
        lengths = [min(length, network.max_length) for length in whole]
        # Longest first: a batch that is too large for the memory shows at once. Ties by text: order changes nothing.
        order = sorted(range(len(pairs)), key=lambda place: (-lengths[place], pairs[place]))
        rows = self._in_batches(network, [_Measured(pairs[place], lengths[place]) for place in order])
        return rows[np.argsort(order)]

    def _in_batches(self, network: Network, measured: Sequence[_Measured]) -> FloatArray:
        def work(batch: Sequence[_Measured]) -> FloatArray:
            return network.forward([one.pair for one in batch])

        return np.concatenate([rows for _, rows in in_shrinking_batches(work, measured, self._room, self._refuse)])

    def _refuse(self, one: _Measured) -> NoReturn:
        role = self._settings.role
        raise UQHarnessError(
            f"the {role.name} ran out of memory with a single pair of {one.tokens} tokens: run it on another device "
            f"({role.prefix}_device=cpu) or give the language model less (a smaller batch_size)"
        )

    def _count_cuts(self, cut: int, pairs: int, max_length: int) -> None:
        if cut and not self.pairs_cut:  # the first time only: this is called for every few questions
            log.warning(
                "the %s reads %d tokens: %d of %d distinct pairs are longer and were cut at the beginning of their "
                "texts; later ones will be cut too",
                *(self._settings.role.name, max_length, cut, pairs),
            )
        self.pairs_cut += cut


def _lengths(network: Network, pairs: Sequence[Pair]) -> list[int]:
    """Number of tokens of each pair, special ones included; each text is tokenised once, not each pair."""
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    length = dict(zip(texts, network.text_lengths(texts), strict=True))
    return [length[first] + length[second] + network.special_tokens for first, second in pairs]
