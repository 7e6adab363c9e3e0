"""The prefixes that go through the model: one for each distinct beginning of the answers that have not ended.

Three ways to keep what the model has read: every prefix has its own keys and values (`CopiedPrefixes`); the prefixes
of a prompt share one row of the cache and attend to their own ancestors in it (`TreePrefixes`); or, where a model's
cache cannot be copied, prefixes are read again at every step (`ReadAgainPrefixes`). All give the same numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad
from transformers.cache_utils import DynamicCache, DynamicLayer

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.cache import append_rows, growing, trim
from uq_harness.backends.transformers.forward import Prefill, as_attention_takes_it, watched_states
from uq_harness.backends.transformers.self_attention import SelfAttentionReader
from uq_harness.backends.transformers.sequences import IntArray


class Prefixes(ABC):
    """Prefixes that the model has read; at first one a prompt.

    Args:
        architecture: The model.
        prefill: The prompts.
        watch: Numbers of the blocks whose inputs are wanted.
        reader: What reads the attention that tokens give to themselves, where it is wanted.

    Attributes:
        head_states: The state that the head reads to predict each prefix's next token, ``[prefixes, width]``.
        entered: What entered the watched blocks at each prefix's last token, by their numbers, ``[prefixes, width]``.
        self_attention: The weights that the last tokens of some prefixes gave to themselves when they were fed,
            ``[prefixes read, blocks, heads]``; ``None`` where none were read.
    """

    def __init__(
        self,
        architecture: Architecture,
        prefill: Prefill,
        watch: Collection[int],
        reader: SelfAttentionReader | None = None,
    ) -> None:
        self._architecture, self._watch, self._reader = architecture, watch, reader
        self.self_attention: Tensor | None = None
        self.head_states = prefill.last_state
        self.entered = {block: prefill.entered[block][:, -1].clone() for block in watch}

    def __len__(self) -> int:
        return len(self.head_states)

    @abstractmethod
    def grow(self, parents: IntArray, tokens: IntArray, read: IntArray | None = None) -> None:
        """Replaces the prefixes: prefix i becomes ``parents[i]`` followed by ``tokens[i]``. Parents are in order.

        Args:
            parents: Numbers of the present prefixes.
            tokens: Their next tokens.
            read: Numbers of the new prefixes whose self-attention is read, where there is a reader; ``None`` for none.
        """

    @contextmanager
    def _reading(self, rows: IntArray | None, count: int, places: IntArray | None = None) -> Iterator[None]:
        """Reads the self-attention of some of the rows of a pass, at the last token or at a place each."""
        self.self_attention = None
        if self._reader is None or rows is None or not len(rows):
            yield
            return
        every = np.array_equal(rows, np.arange(count))
        at = None if places is None else torch.as_tensor(places)[:, None]
        with self._reader.read(None if every else torch.as_tensor(rows), at) as reading:
            yield
        weights = reading.weights()
        self.self_attention = None if weights is None else weights[..., 0]

    def join(self, prefill: Prefill) -> None:
        """Adds a prefix for each of other prompts, after the present ones."""
        self._join(prefill)
        self.head_states = torch.cat([self.head_states, prefill.last_state])
        self.entered = {
            block: torch.cat([state, prefill.entered[block][:, -1]]) for block, state in self.entered.items()
        }

    @abstractmethod
    def _join(self, prefill: Prefill) -> None:
        """Adds the prompts to what the model has read."""


class CopiedPrefixes(Prefixes):
    """Every prefix has its own keys and values, copied from its parent's where prefixes part or end."""

    def __init__(
        self,
        architecture: Architecture,
        prefill: Prefill,
        watch: Collection[int],
        reader: SelfAttentionReader | None = None,
    ) -> None:
        super().__init__(architecture, prefill, watch, reader)
        assert prefill.cache is not None
        self._cache, self._mask = growing(prefill.cache), prefill.mask

    def grow(self, parents: IntArray, tokens: IntArray, read: IntArray | None = None) -> None:
        """See `Prefixes.grow`."""
        if not np.array_equal(parents, np.arange(len(self))):
            at = torch.as_tensor(parents, device=self._mask.device)
            self._mask = self._mask.index_select(0, at)
            self._cache.reorder_cache(at)
        token = torch.as_tensor(tokens, device=self._mask.device)[:, None]
        self._mask = torch.cat([self._mask, torch.ones_like(token)], 1)
        with self._reading(read, len(tokens)):
            hidden, self._cache, entered = watched_states(
                self._architecture, token, self._mask, self._cache, watch=self._watch
            )
        self.head_states, self.entered = hidden[:, -1], {block: state[:, -1] for block, state in entered.items()}

    def _join(self, prefill: Prefill) -> None:
        assert prefill.cache is not None
        padding = int(self._mask.any(0).long().argmax())
        trim(self._cache, padding)
        append_rows(self._cache, prefill.cache)
        self._mask = stack_right(self._mask[:, padding:], prefill.mask)


class ReadAgainPrefixes(Prefixes):
    """Prefixes that are read again from their first token at every step."""

    def __init__(
        self,
        architecture: Architecture,
        prefill: Prefill,
        watch: Collection[int],
        reader: SelfAttentionReader | None = None,
    ) -> None:
        super().__init__(architecture, prefill, watch, reader)
        self._ids, self._mask = prefill.ids, prefill.mask

    def grow(self, parents: IntArray, tokens: IntArray, read: IntArray | None = None) -> None:
        """See `Prefixes.grow`."""
        at = torch.as_tensor(parents, device=self._mask.device)
        token = torch.as_tensor(tokens, device=self._mask.device)[:, None]
        self._ids = torch.cat([self._ids.index_select(0, at), token], 1)
        self._mask = torch.cat([self._mask.index_select(0, at), torch.ones_like(token)], 1)
        with self._reading(read, len(tokens)):
            hidden, _, entered = watched_states(
                self._architecture, self._ids, self._mask, use_cache=False, watch=self._watch
            )
        self.head_states, self.entered = hidden[:, -1], {block: state[:, -1] for block, state in entered.items()}

    def _join(self, prefill: Prefill) -> None:
        padding = int(self._mask.any(0).long().argmax())
        self._ids = stack_right(self._ids[:, padding:], prefill.ids)
        self._mask = stack_right(self._mask[:, padding:], prefill.mask)


def stack_right(one: Tensor, other: Tensor) -> Tensor:
    """The rows of both, zeros on the left of the shorter ones."""
    width = max(one.shape[1], other.shape[1])
    return torch.cat([torch.nn.functional.pad(rows, (width - rows.shape[1], 0)) for rows in (one, other)])


class TreePrefixes(Prefixes):
    """The prefixes of a prompt share one row of the cache."""

    def __init__(
        self,
        architecture: Architecture,
        prefill: Prefill,
        watch: Collection[int],
        reader: SelfAttentionReader | None = None,
    ) -> None:
        super().__init__(architecture, prefill, watch, reader)
        assert prefill.cache is not None
        self._cache = growing(prefill.cache)
        self._owner: IntArray = np.arange(len(self))  # the cache's row that holds each prefix
        self._sees = prefill.mask.bool()  # the cache's columns that each prefix attends to
        self._too_many_columns = 2 * self._sees.shape[1]

    def grow(self, parents: IntArray, tokens: IntArray, read: IntArray | None = None) -> None:
        """See `Prefixes.grow`."""
        device = self._sees.device
        self._owner = self._owner[parents]
        self._sees = self._sees.index_select(0, torch.as_tensor(parents, device=device))
        self._compact_if_idle()
        prompts = len(self._cache.layers[0].keys)
        count = np.bincount(self._owner, minlength=prompts)
        width = int(count.max())
        slot = np.arange(len(self._owner)) - (np.cumsum(count) - count)[self._owner]
        place = torch.as_tensor(self._owner * width + slot, device=device)
        own = one_hot(torch.as_tensor(slot, device=device), width).bool()
        self._sees = torch.cat([self._sees, own], 1)
        # places without a prefix see themselves alone, for a softmax over nothing would be NaN
        mask = torch.eye(width, dtype=torch.bool, device=device).repeat(prompts, 1)
        mask = pad(mask, (self._sees.shape[1] - width, 0))
        mask[place] = self._sees
        ids, positions = (torch.zeros(prompts * width, dtype=torch.long, device=device) for _ in range(2))
        ids[place] = torch.as_tensor(tokens, device=device)
        positions[place] = self._sees.sum(1) - 1
        rows, places = (None, None) if read is None else (self._owner[read], slot[read])
        with self._reading(rows, prompts, places):
            hidden, self._cache, entered = watched_states(
                self._architecture,
                ids.view(prompts, width),
                as_attention_takes_it(self._architecture, mask.view(prompts, 1, width, -1), self.head_states.dtype),
                self._cache,
                position_ids=positions.view(prompts, width),
                watch=self._watch,
            )
        self.head_states = hidden.flatten(0, 1)[place.to(hidden.device)]
        self.entered = {block: state.flatten(0, 1)[place.to(state.device)] for block, state in entered.items()}

    def _compact_if_idle(self) -> None:
        """Compacts once half of the prompts have no prefix any more, or the columns have doubled."""
        columns, prompts = self._sees.shape[1], len(self._cache.layers[0].keys)
        if 2 * len(np.unique(self._owner)) <= prompts or columns > self._too_many_columns:
            self._compact()

    def _compact(self) -> None:
        """Forgets prompts without prefixes, and of the others the columns that none of their prefixes attends to."""
        kept, self._owner = np.unique(self._owner, return_inverse=True)
        owner = torch.as_tensor(self._owner, device=self._sees.device)
        used = torch.zeros(len(kept), self._sees.shape[1], dtype=torch.long, device=self._sees.device)
        used = used.index_add_(0, owner, self._sees.long()).clamp_(max=1)
        # a stable sort moves the used columns to the right and keeps their order
        order = used.argsort(dim=1, stable=True)[:, -int(used.sum(1).max()) :]
        self._sees = self._sees.gather(1, order[owner])
        self._too_many_columns = 2 * self._sees.shape[1]
        for layer in self._cache.layers:
            layer.rearrange(torch.as_tensor(kept), order)

    def _join(self, prefill: Prefill) -> None:
        assert prefill.cache is not None
        self._compact()
        self._owner = np.concatenate([self._owner, len(self._cache.layers[0].keys) + np.arange(len(prefill.ids))])
        append_rows(self._cache, prefill.cache)
        self._sees = stack_right(self._sees, prefill.mask.bool())


# ``auto`` shares the keys and values of long prompts with many answers, ``tree`` those of all prompts, ``copied`` none.
Layout = Literal["auto", "copied", "tree"]

# From how many tokens of a prompt, and how many answers to it, sharing pays (`python benchmarks/layouts.py`). Short
# answers gain from 64 tokens on; 40 answers that all differ over 80 tokens see too much of each other until about 300.
LONG_PROMPT = 256
MANY_ANSWERS = 8


def may_share(architecture: Architecture, cache: DynamicCache | None) -> bool:
    """Whether the model's attention takes a mask for every prefix apart: full attention, by sdpa or eagerly."""
    return (
        cache is not None
        and all(type(layer) is DynamicLayer and layer.is_initialized for layer in cache.layers)
        and architecture.attention in ("sdpa", "eager")
        and architecture.accepts("position_ids")
    )


def begin(
    architecture: Architecture,
    prefill: Prefill,
    watch: Collection[int],
    answers: int,
    layout: Layout,
    reader: SelfAttentionReader | None = None,
) -> Prefixes:
    """The prefixes of prompts that have just been read.

    Args:
        architecture: The model.
        prefill: The prompts.
        watch: Numbers of the blocks whose inputs are wanted.
        answers: Number of answers to each prompt.
        layout: What is allowed.
        reader: What reads the attention that tokens give to themselves, where it is wanted.
    """
    if prefill.cache is None:
        return ReadAgainPrefixes(architecture, prefill, watch, reader)
    worth = layout == "tree" or (prefill.ids.shape[1] >= LONG_PROMPT and answers >= MANY_ANSWERS)
    if layout != "copied" and worth and may_share(architecture, prefill.cache):
        return TreePrefixes(architecture, prefill, watch, reader)
    return CopiedPrefixes(architecture, prefill, watch, reader)
