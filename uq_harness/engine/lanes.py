"""Lanes: the answers that grow side by side, and the rows (prefixes) on which they stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uq_harness.evidence import FloatArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass
class Lanes:
    """What is known of each answer.

    Attributes:
        row: The row on which a live lane stands, ``[lanes]``.
        live: Whether the answer still grows, ``[lanes]``.
        lengths: Number of tokens of each answer, ``[lanes]``.
        tokens: The answers, ``[lanes, limit]``.
        logprobs: Log-probability of each token, ``[lanes, limit]``.
        entropies: Entropy of each token's distribution, ``[lanes, limit]``.
    """

    row: IntArray
    live: BoolArray
    lengths: IntArray
    tokens: IntArray
    logprobs: FloatArray
    entropies: FloatArray

    @classmethod
    def on(cls, row: IntArray, limit: int) -> Lanes:
        """Empty answers standing on the given rows."""
        shape = (len(row), limit)
        live, lengths = np.ones(len(row), dtype=np.bool_), np.zeros(len(row), dtype=np.int64)
        return cls(row, live, lengths, np.zeros(shape, dtype=np.int64), np.zeros(shape), np.zeros(shape))

    def write(self, step: int, tokens: IntArray, logprobs: FloatArray, entropies: FloatArray) -> None:
        """Adds a token to every live lane."""
        self.tokens[self.live, step] = tokens
        self.logprobs[self.live, step] = logprobs
        self.entropies[self.live, step] = entropies
        self.lengths[self.live] = step + 1

    def end(self, step: int, end_ids: frozenset[int], stops: Callable[[list[int]], bool] | None) -> BoolArray:
        """Ends the lanes whose token at this step was their last, and says which they are."""
        before = self.live.copy()
        # a distribution of NaNs has no next token: end there instead of filling up to the limit
        for end in end_ids:
            self.live &= self.tokens[:, step] != end
        self.live &= ~np.isnan(self.logprobs[:, step])
        if stops is not None and self.live.any():
            lanes = np.flatnonzero(self.live)
            first, where = self._prefixes(step)  # one look at every distinct prefix
            stopped = np.array([stops(self.tokens[lane, : step + 1].tolist()) for lane in lanes[first]])
            self.live[lanes] = ~stopped[where]
        return before & ~self.live

    def move(self, step: int) -> tuple[IntArray, IntArray]:
        """Puts the live lanes on the rows of the next step; returns those rows' parents and tokens."""
        lanes = np.flatnonzero(self.live)
        first, where = self._prefixes(step)
        parents, tokens = self.row[lanes[first]], self.tokens[lanes[first], step]
        self.row[lanes] = where
        return parents, tokens

    def answer(self, lane: int) -> tuple[tuple[int, ...], FloatArray, FloatArray]:
        """Tokens, log-probabilities and entropies of an answer."""
        n = self.lengths[lane]
        tokens = tuple(self.tokens[lane, :n].tolist())
        return tokens, self.logprobs[lane, :n].copy(), self.entropies[lane, :n].copy()

    def _prefixes(self, step: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The first live lane on each distinct prefix, ordered by the rows they grew from, and each lane's prefix."""
        tokens = self.tokens[self.live, step]
        prefix = self.row[self.live] * (tokens.max() + 1) + tokens
        _, first, where = np.unique(prefix, return_index=True, return_inverse=True)
        return first, where


def take(values: Tensor, rows: IntArray) -> Tensor:
    """The given rows of a tensor, without a copy where they are all its rows in order."""
    if len(rows) == len(values) and np.array_equal(rows, np.arange(len(rows))):
        return values
    return values.index_select(0, torch.as_tensor(rows, device=values.device))


def follow(history: list[Tensor], states: Tensor, lanes: Lanes, followed: IntArray) -> None:
    """Adds to a history the states of the rows on which some lanes stand; ended lanes repeat their last ones."""
    live = lanes.live[followed]
    if live.all():
        history.append(take(states, lanes.row[followed]))
    elif live.any():
        growing = torch.as_tensor(np.flatnonzero(live), device=states.device)
        history.append(history[-1].index_copy(0, growing, take(states, lanes.row[followed[live]])))
