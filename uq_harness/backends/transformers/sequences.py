"""Lanes: the answers that grow side by side, and the rows (prefixes) on which they stand.

Every prompt that is being answered has a slot, a run of lanes: first its greedy answer's, then its samples'.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uq_harness.functional import FloatArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class Lanes:
    """What is known of each answer.

    Args:
        slots: Number of prompts that can be answered at a time.
        width: Number of a prompt's lanes.
        limit: Largest number of an answer's tokens.

    Attributes:
        width: Number of a prompt's lanes.
        limit: Largest number of an answer's tokens.
        row: The row on which a live lane stands, ``[lanes]``.
        live: Whether the answer still grows, ``[lanes]``.
        ended: Whether the answer has ended by itself, not by the limit, ``[lanes]``.
        lengths: Number of tokens of each answer, ``[lanes]``.
        tokens: The answers, ``[lanes, limit]``.
        logprobs: Log-probability of each token, ``[lanes, limit]``.
        entropies: Entropy of each token's distribution, ``[lanes, limit]``.
        laws: Log-probability of each token under the law that it was drawn from, ``[lanes, limit]``; ``nan`` where
            nothing needs it.
    """

    def __init__(self, slots: int, width: int, limit: int) -> None:
        lanes = slots * width
        self.width, self.limit = width, limit
        self.row, self.lengths = (np.zeros(lanes, dtype=np.int64) for _ in range(2))
        self.live, self.ended = (np.zeros(lanes, dtype=np.bool_) for _ in range(2))
        self.tokens: IntArray = np.zeros((lanes, limit), dtype=np.int64)
        self.logprobs, self.entropies, self.laws = (np.zeros((lanes, limit)) for _ in range(3))

    def of(self, slot: int) -> slice:
        """The lanes of a slot."""
        return slice(slot * self.width, (slot + 1) * self.width)

    def seat(self, slot: int, row: int) -> None:
        """Begins the answers to a prompt, which all stand on its row."""
        lanes = self.of(slot)
        self.row[lanes], self.lengths[lanes], self.live[lanes], self.ended[lanes] = row, 0, True, False

    def owners(self) -> IntArray:
        """The slot that each row belongs to."""
        lanes = np.flatnonzero(self.live)
        owners = np.zeros(self.row[lanes].max(initial=-1) + 1, dtype=np.int64)
        owners[self.row[lanes]] = lanes // self.width
        return owners

    def write(
        self, lanes: IntArray, tokens: IntArray, logprobs: FloatArray, entropies: FloatArray, laws: FloatArray
    ) -> None:
        """Adds a token to the given live lanes."""
        at = self.lengths[lanes]
        self.tokens[lanes, at], self.logprobs[lanes, at], self.entropies[lanes, at] = tokens, logprobs, entropies
        self.laws[lanes, at] = laws
        self.lengths[lanes] += 1

    def end(self, end_ids: frozenset[int], stops: Callable[[list[int]], bool] | None) -> IntArray:
        """Ends the live lanes whose newest token is their last, and says which they are."""
        lanes = np.flatnonzero(self.live)
        newest = self.tokens[lanes, self.lengths[lanes] - 1]
        # a distribution of NaNs has no next token: end there instead of filling up to the limit
        over = np.isin(newest, list(end_ids)) | np.isnan(self.logprobs[lanes, self.lengths[lanes] - 1])
        if stops is not None and not over.all():
            going = lanes[~over]
            first, where = self._prefixes(going)  # one look at every distinct prefix
            stopped = np.array([stops(self.tokens[lane, : self.lengths[lane]].tolist()) for lane in going[first]])
            over[~over] = stopped[where]
        self.ended[lanes] = over
        over |= self.lengths[lanes] == self.limit
        self.live[lanes] = ~over
        return lanes[over]

    def move(self) -> tuple[IntArray, IntArray]:
        """Puts the live lanes on the rows that follow; returns those rows' parents, in order, and their tokens."""
        lanes = np.flatnonzero(self.live)
        first, where = self._prefixes(lanes)
        leaders = lanes[first]
        parents, tokens = self.row[leaders], self.tokens[leaders, self.lengths[leaders] - 1]
        self.row[lanes] = where
        return parents, tokens

    def answer(self, lane: int) -> tuple[tuple[int, ...], FloatArray, FloatArray, bool]:
        """Tokens, log-probabilities and entropies of an answer, and whether it has ended by itself."""
        n = self.lengths[lane]
        tokens = tuple(self.tokens[lane, :n].tolist())
        return tokens, self.logprobs[lane, :n].copy(), self.entropies[lane, :n].copy(), bool(self.ended[lane])

    def law(self, lane: int) -> FloatArray:
        """Log-probabilities of an answer's tokens under the law that they were drawn from."""
        return self.laws[lane, : self.lengths[lane]].copy()

    def _prefixes(self, lanes: IntArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The first of some lanes on each distinct prefix, ordered by the rows they grew from; each lane's prefix."""
        tokens = self.tokens[lanes, self.lengths[lanes] - 1]
        prefix = self.row[lanes] * (tokens.max(initial=0) + 1) + tokens
        _, first, where = np.unique(prefix, return_index=True, return_inverse=True)
        return first, where


def take(values: Tensor, rows: IntArray) -> Tensor:
    """The given rows of a tensor, without a copy where they are all its rows in order."""
    if len(rows) == len(values) and np.array_equal(rows, np.arange(len(rows))):
        return values
    return values.index_select(0, torch.as_tensor(rows, device=values.device))
