"""Texts through a network: longest first, in batches of similar length, smaller ones where memory runs out."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar, Generic, NamedTuple, NoReturn, TypeVar

import numpy as np

from uq_harness.batching import Room, in_shrinking_batches, lock_of
from uq_harness.errors import UQHarnessError
from uq_harness.functional import FloatArray
from uq_harness.similarity.loading import Settings
from uq_harness.similarity.memory import Pair

log = logging.getLogger(__name__)

_PADDING_ON_CPU = 32  # places without a token in a batch that cost a processor no more than another batch


I = TypeVar("I", Pair, str)  # noqa: E741  # what a network reads at a time


class Network(ABC, Generic[I]):
    """A loaded network with its tokenizer.

    Attributes:
        kind: What sort of network it is, for the record of results; empty where its role has one sort alone.
        reads: What it reads at a time, as messages call it: ``pair`` or ``text``.
        max_length: The most tokens that it reads at a time, special tokens included.
    """

    kind: ClassVar[str] = ""
    reads: ClassVar[str]
    max_length: int

    @property
    @abstractmethod
    def on_cpu(self) -> bool:
        """Whether it is on the processor, where a place without a token costs as much as a token."""

    @abstractmethod
    def items(self, pairs: Sequence[Pair]) -> list[I]:
        """What it has to read for distinct pairs, each once."""

    @abstractmethod
    def lengths(self, items: Sequence[I]) -> list[int]:
        """Number of tokens of each item, special ones included and uncut."""

    @abstractmethod
    def forward(self, items: Sequence[I]) -> FloatArray:
        """One row for each item of a batch."""

    @abstractmethod
    def combine(self, pairs: Sequence[Pair], rows: Mapping[I, FloatArray]) -> FloatArray:
        """What the items' rows come to for the pairs, shape ``[pairs, columns]``."""


class PairNetwork(Network[Pair]):
    """A network that reads both texts of a pair together."""

    reads = "pair"

    @abstractmethod
    def text_lengths(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text, without special tokens."""

    @property
    @abstractmethod
    def special_tokens(self) -> int:
        """Number of special tokens around a pair."""

    def items(self, pairs: Sequence[Pair]) -> list[Pair]:
        """The pairs."""
        return list(pairs)

    def lengths(self, items: Sequence[Pair]) -> list[int]:
        """Number of tokens of each pair; each text is tokenised once, not each pair."""
        texts = list(dict.fromkeys(text for pair in items for text in pair))
        length = dict(zip(texts, self.text_lengths(texts), strict=True))
        return [length[first] + length[second] + self.special_tokens for first, second in items]

    def combine(self, pairs: Sequence[Pair], rows: Mapping[Pair, FloatArray]) -> FloatArray:
        """The pairs' own rows."""
        return np.stack([rows[pair] for pair in pairs])


class _Measured(NamedTuple):
    """An item and the number of its tokens that are read."""

    item: Any
    tokens: int


@dataclass
class _PairRoom(Room):
    """How many items go through a network; in tokens, once memory has run out, so that more of the shorter ones do.

    Attributes:
        name: How messages call the network.
        reads: How messages call an item.
        tokens: The most tokens of a batch; ``None`` before memory has run out.
        padding: The most places of a batch that hold no token; ``None`` for any number.
    """

    name: str = ""
    reads: str = "pair"
    tokens: int | None = None
    padding: int | None = None

    def fits(self, waiting: Sequence[_Measured], start: int = 0) -> int:
        """How many of the waiting items go together; none of them is longer than the one at the start."""
        longest = waiting[start].tokens
        size = self.size if self.tokens is None else max(1, min(self.size, self.tokens // longest))
        together = waiting[start : start + size]
        if self.padding is None:
            return len(together)
        places = accumulate(longest - one.tokens for one in together)
        return sum(1 for empty in places if empty <= self.padding)

    def too_large(self, size: int, waiting: Sequence[_Measured]) -> int:
        """The size of the batch that memory did not hold: it has its own."""
        return self.fits(waiting)

    def shrink(self, size: int, waiting: Sequence[_Measured]) -> None:
        """Limits the tokens of a batch to those of half the items."""
        longest = waiting[0].tokens
        self.tokens = size // 2 * longest
        log.warning(
            "the %s ran out of memory with %d %ss of up to %d tokens and goes on with %d at a time, more where they "
            "are shorter",
            *(self.name, size, self.reads, longest, size // 2),
        )


class NeuralPairModel:
    """Scores distinct pairs with a network that is loaded when it is first needed.

    Args:
        settings: The model and how it is run.
        load: Gives the network; the same one each time.
    """

    def __init__(self, settings: Settings, load: Callable[[Settings], Network[Any]]) -> None:
        self.pairs_cut = 0
        self._kind = ""
        self._settings, self._load = settings, load
        self._room = _PairRoom(settings.batch_size, otherwise="", name=settings.role.name)

    def prepare(self) -> None:
        """Loads the network."""
        self._kind = self._load(self._settings).kind

    def describe(self) -> dict[str, Any]:
        """The settings, and once the network is loaded, its kind."""
        return self._settings.describe() | ({"kind": self._kind} if self._kind else {})

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        """One row for each of distinct pairs, shape ``[pairs, columns]``.

        Raises:
            UQHarnessError: The network cannot be had, or memory does not hold a single pair.
        """
        network = self._load(self._settings)
        with lock_of(network):  # every call sets up its tokenizer
            return self._score(network, pairs)

    def _score(self, network: Network[Any], pairs: Sequence[Pair]) -> FloatArray:
        items = network.items(pairs)
        whole = network.lengths(items)
        cut = {one for one, size in zip(items, whole, strict=True) if size > network.max_length}
        self._count_cuts(network, pairs, cut)
        measured = [_Measured(one, min(size, network.max_length)) for one, size in zip(items, whole, strict=True)]
        # Longest first: a batch that is too large for the memory shows at once. Ties by text: order changes nothing.
        measured.sort(key=lambda one: (-one.tokens, one.item))
        rows = self._in_batches(network, measured)
        return network.combine(pairs, {one.item: row for one, row in zip(measured, rows, strict=True)})

    def _in_batches(self, network: Network[Any], measured: Sequence[_Measured]) -> FloatArray:
        def work(batch: Sequence[_Measured]) -> FloatArray:
            return network.forward([one.item for one in batch])

        self._room.reads = network.reads
        self._room.padding = _PADDING_ON_CPU if network.on_cpu else None
        return np.concatenate([rows for _, rows in in_shrinking_batches(work, measured, self._room, self._refuse)])

    def _refuse(self, one: _Measured) -> NoReturn:
        role = self._settings.role
        raise UQHarnessError(
            f"the {role.name} ran out of memory with a single {self._room.reads} of {one.tokens} tokens: run it on "
            f"another device ({role.prefix}_device=cpu) or give the language model less (a smaller batch_size)"
        )

    def _count_cuts(self, network: Network[Any], pairs: Sequence[Pair], cut: set[Any]) -> None:
        if cut and not self.pairs_cut:  # the first time only: this is called for every few questions
            log.warning(
                "the %s reads %d tokens: %d of %d distinct %ss are longer and were cut at the beginning of their "
                "texts; later ones will be cut too",
                *(self._settings.role.name, network.max_length, len(cut), len(network.items(pairs)), network.reads),
            )
        if cut:
            self.pairs_cut += sum(not cut.isdisjoint(network.items([pair])) for pair in pairs)
