"""Sequences: the answers that are being decoded, and the prefix that each of them continues.

Every running prompt has a slot, a run of sequences: first its greedy answer, then its samples.
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


class Sequences:
    """The state of every sequence.

    Args:
        slots: Number of prompts that can be answered at a time.
        width: Number of a prompt's sequences.
        limit: Largest number of an answer's tokens.

    Attributes:
        width: Number of a prompt's sequences.
        limit: Largest number of an answer's tokens.
        prefix: Number of the prefix that a live sequence continues, ``[sequences]``.
        live: Whether the answer has not ended, ``[sequences]``.
        ended: Whether the answer has ended by itself, not by the limit, ``[sequences]``.
        lengths: Number of tokens of each answer, ``[sequences]``.
        tokens: The answers, ``[sequences, limit]``.
        logprobs: Log-probability of each token, ``[sequences, limit]``.
        entropies: Entropy of each token's distribution, ``[sequences, limit]``.
        laws: Log-probability of each token under the law that it was drawn from, or in a beam search at the temperature
            that its answers are needed at, ``[sequences, limit]``; ``nan`` where nothing needs it.
        logits: Logit of each token, ``[sequences, limit]``.
        distributions: For each sequence what was taken of the distributions of its tokens, where it was.
    """

    def __init__(self, slots: int, width: int, limit: int) -> None:
        sequences = slots * width
        self.width, self.limit = width, limit
        self.prefix, self.lengths = (np.zeros(sequences, dtype=np.int64) for _ in range(2))
        self.live, self.ended = (np.zeros(sequences, dtype=np.bool_) for _ in range(2))
        self.tokens: IntArray = np.zeros((sequences, limit), dtype=np.int64)
        self.logprobs, self.entropies, self.laws, self.logits = (np.zeros((sequences, limit)) for _ in range(4))
        self.distributions: list[list[FloatArray]] = [[] for _ in range(sequences)]

    def of(self, slot: int) -> slice:
        """The sequences of a slot."""
        return slice(slot * self.width, (slot + 1) * self.width)

    def admit(self, slot: int, prefix: int) -> None:
        """Begins the answers to a prompt, which all continue the same prefix."""
        sequences = self.of(slot)
        self.prefix[sequences], self.lengths[sequences], self.live[sequences], self.ended[sequences] = (
            prefix,
            0,
            True,
            False,
        )
        for sequence in range(sequences.start, sequences.stop):
            self.distributions[sequence] = []

    def owners(self) -> IntArray:
        """The slot that each prefix belongs to."""
        sequences = np.flatnonzero(self.live)
        owners = np.zeros(self.prefix[sequences].max(initial=-1) + 1, dtype=np.int64)
        owners[self.prefix[sequences]] = sequences // self.width
        return owners

    def write(
        self,
        sequences: IntArray,
        tokens: IntArray,
        logprobs: FloatArray,
        entropies: FloatArray,
        laws: FloatArray,
        logits: FloatArray,
    ) -> None:
        """Adds a token to the given live sequences."""
        at = self.lengths[sequences]
        self.tokens[sequences, at], self.logprobs[sequences, at], self.entropies[sequences, at] = (
            tokens,
            logprobs,
            entropies,
        )
        self.laws[sequences, at], self.logits[sequences, at] = laws, logits
        self.lengths[sequences] += 1

    def end(self, end_ids: frozenset[int], stops: Callable[[list[int]], bool] | None) -> IntArray:
        """Ends the live sequences whose newest token is their last, and says which they are."""
        sequences = np.flatnonzero(self.live)
        newest = self.tokens[sequences, self.lengths[sequences] - 1]
        # a distribution of NaNs has no next token: end there instead of filling up to the limit
        over = np.isin(newest, list(end_ids)) | np.isnan(self.logprobs[sequences, self.lengths[sequences] - 1])
        if stops is not None and not over.all():
            going = sequences[~over]
            first, where = self._prefixes(going)  # one look at every distinct prefix
            stopped = np.array(
                [stops(self.tokens[sequence, : self.lengths[sequence]].tolist()) for sequence in going[first]]
            )
            over[~over] = stopped[where]
        self.ended[sequences] = over
        over |= self.lengths[sequences] == self.limit
        self.live[sequences] = ~over
        return sequences[over]

    def move(self) -> tuple[IntArray, IntArray]:
        """Moves the live sequences to their next prefixes; returns these prefixes' parents, in order, and tokens."""
        sequences = np.flatnonzero(self.live)
        first, where = self._prefixes(sequences)
        firsts = sequences[first]
        parents, tokens = self.prefix[firsts], self.tokens[firsts, self.lengths[firsts] - 1]
        self.prefix[sequences] = where
        return parents, tokens

    def answer(self, sequence: int) -> tuple[tuple[int, ...], FloatArray, FloatArray, bool]:
        """Tokens, log-probabilities and entropies of an answer, and whether it has ended by itself."""
        n = self.lengths[sequence]
        tokens = tuple(self.tokens[sequence, :n].tolist())
        return (
            tokens,
            self.logprobs[sequence, :n].copy(),
            self.entropies[sequence, :n].copy(),
            bool(self.ended[sequence]),
        )

    def law(self, sequence: int) -> FloatArray:
        """Log-probabilities of an answer's tokens under another law than the model's own, as kept."""
        return self.laws[sequence, : self.lengths[sequence]].copy()

    def logits_of(self, sequence: int) -> FloatArray:
        """Logits of an answer's tokens."""
        return self.logits[sequence, : self.lengths[sequence]].copy()

    def _prefixes(self, sequences: IntArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The first of some sequences on each distinct prefix, ordered by their parents; each sequence's prefix."""
        tokens = self.tokens[sequences, self.lengths[sequences] - 1]
        key = self.prefix[sequences] * (tokens.max(initial=0) + 1) + tokens
        _, first, where = np.unique(key, return_index=True, return_inverse=True)
        return first, where


def take(values: Tensor, rows: IntArray) -> Tensor:
    """The given rows of a tensor, without a copy where they are all its rows in order."""
    if len(rows) == len(values) and np.array_equal(rows, np.arange(len(rows))):
        return values
    return values.index_select(0, torch.as_tensor(rows, device=values.device))
