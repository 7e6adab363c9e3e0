"""Pairs through a network: longest first, in batches of similar length, smaller ones where memory runs out."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from uq_harness.batching import is_out_of_memory, lock_of, release
from uq_harness.errors import UQHarnessError
from uq_harness.functional import FloatArray
from uq_harness.similarity.services import Pair
from uq_harness.similarity.settings import Settings

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


class NeuralPairModel:
    """Scores distinct pairs with a network that is loaded when it is first needed.

    Args:
        settings: The model and how it is run.
        load: Gives the network; the same one each time.
    """

    def __init__(self, settings: Settings, load: Callable[[Settings], Network]) -> None:
        self.pairs_cut = 0
        self._settings, self._load = settings, load
        self._room: int | None = None  # tokens of a batch, once memory has run out

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
        with lock_of(network):  # its tokenizer is set up anew for every call
            return self._score(network, pairs)

    def _score(self, network: Network, pairs: Sequence[Pair]) -> FloatArray:
        whole = _lengths(network, pairs)
        self._count_cuts(sum(length > network.max_length for length in whole), len(pairs), network.max_length)
        lengths = [min(length, network.max_length) for length in whole]
        # Longest first: a batch that is too large for the memory shows at once. Ties by text: order changes nothing.
        order = sorted(range(len(pairs)), key=lambda place: (-lengths[place], pairs[place]))
        rows = self._in_batches(network, [pairs[place] for place in order], [lengths[place] for place in order])
        return rows[np.argsort(order)]

    def _in_batches(self, network: Network, pairs: list[Pair], lengths: list[int]) -> FloatArray:
        done: list[FloatArray] = []
        start = 0
        while start < len(pairs):
            batch = pairs[start : start + self._batch_size(lengths[start])]
            rows = _try(network, batch)
            if rows is None:
                self._make_smaller(len(batch), lengths[start])
                continue
            done.append(rows)
            start += len(batch)
        return np.concatenate(done)

    def _batch_size(self, longest: int) -> int:
        if self._room is None:
            return self._settings.batch_size
        return max(1, min(self._settings.batch_size, self._room // longest))

    def _make_smaller(self, batch_size: int, longest: int) -> None:
        role = self._settings.role
        if batch_size == 1:
            raise UQHarnessError(
                f"the {role.name} ran out of memory with a single pair of {longest} tokens: run it on another device "
                f"({role.prefix}_device=cpu) or give the language model less (a smaller batch_size)"
            )
        self._room = batch_size // 2 * longest
        log.warning(
            "the %s ran out of memory with %d pairs of up to %d tokens and goes on with %d at a time, more where they "
            "are shorter",
            *(role.name, batch_size, longest, batch_size // 2),
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


def _try(network: Network, batch: Sequence[Pair]) -> FloatArray | None:
    """The batch's rows, or None where memory ran out."""
    try:
        return network.forward(batch)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    release()
    return None
