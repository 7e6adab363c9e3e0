"""The rows that go through the model: one for each distinct prefix on which an answer still grows.

Three ways to keep what the model has read: every row has keys and values of its own (`CopiedRows`); the rows of a
prompt share one row of the cache and see their own ancestors in it (`tree_rows.TreeRows`); or, where a model's cache
cannot be copied, prefixes are read again at every step (`ReadAgainRows`). All give the same numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor

from uq_harness.engine.anatomy import Anatomy
from uq_harness.engine.cache import append_rows, growing, trim
from uq_harness.engine.forward import watched_states
from uq_harness.engine.lanes import IntArray
from uq_harness.engine.prefill import Prefill


class Rows(ABC):
    """Prefixes that the model has read; at first one a prompt.

    Args:
        anatomy: The model.
        prefill: The prompts.
        watch: Numbers of the blocks whose inputs are wanted.

    Attributes:
        head_states: The state that the head reads to predict each row's next token, ``[rows, width]``.
        entered: What entered the watched blocks at each row's last token, by their numbers, ``[rows, width]``.
    """

    def __init__(self, anatomy: Anatomy, prefill: Prefill, watch: Collection[int]) -> None:
        self._anatomy, self._watch = anatomy, watch
        self.head_states = prefill.last_state
        self.entered = {block: prefill.entered[block][:, -1].clone() for block in watch}

    def __len__(self) -> int:
        return len(self.head_states)

    @abstractmethod
    def grow(self, parents: IntArray, tokens: IntArray) -> None:
        """Replaces the rows: row i becomes row ``parents[i]`` with ``tokens[i]`` behind it. Parents are in order."""

    def join(self, prefill: Prefill) -> None:
        """Adds a row for each of other prompts, behind the rows that are there."""
        self._join(prefill)
        self.head_states = torch.cat([self.head_states, prefill.last_state])
        self.entered = {
            block: torch.cat([state, prefill.entered[block][:, -1]]) for block, state in self.entered.items()
        }

    @abstractmethod
    def _join(self, prefill: Prefill) -> None:
        """Adds the prompts to what the model has read."""


class CopiedRows(Rows):
    """Every row has its own keys and values, copied from its parent's where rows part or end."""

    def __init__(self, anatomy: Anatomy, prefill: Prefill, watch: Collection[int]) -> None:
        super().__init__(anatomy, prefill, watch)
        assert prefill.cache is not None
        self._cache, self._mask = growing(prefill.cache), prefill.mask

    def grow(self, parents: IntArray, tokens: IntArray) -> None:
        """See `Rows.grow`."""
        if not np.array_equal(parents, np.arange(len(self))):
            at = torch.as_tensor(parents, device=self._mask.device)
            self._mask = self._mask.index_select(0, at)
            self._cache.reorder_cache(at)
        token = torch.as_tensor(tokens, device=self._mask.device)[:, None]
        self._mask = torch.cat([self._mask, torch.ones_like(token)], 1)
        hidden, self._cache, entered = watched_states(self._anatomy, token, self._mask, self._cache, watch=self._watch)
        self.head_states, self.entered = hidden[:, -1], {block: state[:, -1] for block, state in entered.items()}

    def _join(self, prefill: Prefill) -> None:
        assert prefill.cache is not None
        padding = int(self._mask.any(0).long().argmax())
        trim(self._cache, padding)
        append_rows(self._cache, prefill.cache)
        self._mask = stack_right(self._mask[:, padding:], prefill.mask)


class ReadAgainRows(Rows):
    """Prefixes that are read again from their first token at every step."""

    def __init__(self, anatomy: Anatomy, prefill: Prefill, watch: Collection[int]) -> None:
        super().__init__(anatomy, prefill, watch)
        self._ids, self._mask = prefill.ids, prefill.mask

    def grow(self, parents: IntArray, tokens: IntArray) -> None:
        """See `Rows.grow`."""
        at = torch.as_tensor(parents, device=self._mask.device)
        token = torch.as_tensor(tokens, device=self._mask.device)[:, None]
        self._ids = torch.cat([self._ids.index_select(0, at), token], 1)
        self._mask = torch.cat([self._mask.index_select(0, at), torch.ones_like(token)], 1)
        hidden, _, entered = watched_states(self._anatomy, self._ids, self._mask, use_cache=False, watch=self._watch)
        self.head_states, self.entered = hidden[:, -1], {block: state[:, -1] for block, state in entered.items()}

    def _join(self, prefill: Prefill) -> None:
        padding = int(self._mask.any(0).long().argmax())
        self._ids = stack_right(self._ids[:, padding:], prefill.ids)
        self._mask = stack_right(self._mask[:, padding:], prefill.mask)


def stack_right(one: Tensor, other: Tensor) -> Tensor:
    """The rows of both, zeros on the left of the shorter ones."""
    width = max(one.shape[1], other.shape[1])
    return torch.cat([torch.nn.functional.pad(rows, (width - rows.shape[1], 0)) for rows in (one, other)])
