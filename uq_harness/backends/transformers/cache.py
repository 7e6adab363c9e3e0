"""Key-value caches: sharing a prompt's keys and values between decoding and later passes, and growing in place."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

ROOM = 8  # columns that are free behind a copied cache, at least; a quarter of its length where that is more


def is_plain(cache: Any) -> bool:
    """Whether the cache is a list of plain keys and values, which may be shared, cut and repeated."""
    return type(cache) is DynamicCache and all(
        type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers
    )


def share(cache: DynamicCache) -> DynamicCache:
    """A cache that grows on its own.

    Layers are copied shallowly: growing a plain cache binds new tensors and leaves the old ones alone.
    """
    twin = copy.copy(cache)
    twin.layers = [copy.copy(layer) for layer in cache.layers]
    return twin


def cut(cache: DynamicCache, length: int) -> DynamicCache | None:
    """The cache's first ``length`` positions, or ``None`` where a sliding window has dropped some of them already."""
    twin = share(cache)
    for layer in twin.layers:
        if not layer.is_initialized:  # a layer that reads another layer's keys
            continue
        if isinstance(layer, DynamicSlidingWindowLayer):
            if layer.cumulative_length > layer.keys.shape[-2]:
                return None
            layer.cumulative_length = length
        layer.keys, layer.values = layer.keys[..., :length, :], layer.values[..., :length, :]
    return twin


def beginnings(
    cache: DynamicCache, rows: Sequence[int], lengths: Sequence[int], kept: Sequence[int]
) -> DynamicCache | None:
    """The first positions of some prompts, padded on the left; ``None`` where a sliding window has dropped some.

    Args:
        cache: The cache of all prompts, padded on the left.
        rows: The prompts' rows.
        lengths: Number of tokens of each.
        kept: How many of them are meant, of each.
    """
    twin, width = share(cache), max(kept)
    for layer in twin.layers:
        if not layer.is_initialized:  # a layer that reads another layer's keys
            continue
        columns = layer.keys.shape[-2]
        if isinstance(layer, DynamicSlidingWindowLayer):
            if layer.cumulative_length > columns:
                return None
            layer.cumulative_length = width
        starts = [columns - length for length in lengths]
        parts = [slice(start, start + count) for start, count in zip(starts, kept, strict=True)]
        layer.keys, layer.values = (
            torch.stack([_right(values[row, :, part], width) for row, part in zip(rows, parts, strict=True)])
            for values in (layer.keys, layer.values)
        )
    return twin


def repeat(cache: DynamicCache, times: int) -> DynamicCache:
    """A one-row cache as ``times`` equal rows."""
    twin = share(cache)
    for layer in twin.layers:
        if layer.is_initialized:
            layer.keys = layer.keys.expand(times, *layer.keys.shape[1:])
            layer.values = layer.values.expand(times, *layer.values.shape[1:])
    return twin


def select(cache: DynamicCache, rows: Tensor) -> DynamicCache:
    """A cache whose row i is a copy of the given one's row ``rows[i]``."""
    twin = share(cache)
    twin.reorder_cache(rows)  # index_select: rows may repeat, or be fewer than before
    return twin


def gather(cache: DynamicCache, rows: Tensor, columns: Tensor) -> DynamicCache:
    """A cache of full attention whose row i has the given columns, ``columns[i]``, of the given one's ``rows[i]``."""
    twin = share(cache)
    for layer in twin.layers:
        if layer.is_initialized:
            at = rows.to(layer.keys.device)[:, None], slice(None), columns.to(layer.keys.device)
            layer.keys, layer.values = layer.keys[at].transpose(1, 2), layer.values[at].transpose(1, 2)
    return twin


@dataclass(frozen=True)
class CacheRow:
    """One prompt's keys and values within the cache of all prompts that were read together.

    Attributes:
        cache: That cache, padded on the left.
        row: The prompt's row.
        length: Number of the prompt's tokens.
    """

    cache: DynamicCache
    row: int
    length: int


def stack(rows: Sequence[CacheRow]) -> DynamicCache:
    """One cache of several prompts, padded on the left to the longest of them."""
    width = max(row.length for row in rows)
    together: dict[int, list[int]] = {}  # prompts that were read together, by their places among the rows
    for place, row in enumerate(rows):
        together.setdefault(id(row.cache), []).append(place)
    parts = [(rows[places[0]].cache, [rows[place].row for place in places]) for places in together.values()]
    places = torch.tensor([place for part in together.values() for place in part])
    order = None if len(parts) == 1 else places.argsort()
    twin = share(rows[0].cache)
    for i, layer in enumerate(twin.layers):
        if not layer.is_initialized:
            continue
        columns = width
        if isinstance(layer, DynamicSlidingWindowLayer):
            layer.cumulative_length, columns = width, min(width, layer.sliding_window - 1)
        layers = [(cache.layers[i], torch.tensor(numbers, device=layer.keys.device)) for cache, numbers in parts]
        layer.keys = _join([_right(one.keys[numbers], columns) for one, numbers in layers], order)
        layer.values = _join([_right(one.values[numbers], columns) for one, numbers in layers], order)
    return twin


def _join(parts: Sequence[Tensor], order: Tensor | None) -> Tensor:
    """The rows of all parts, in the given order."""
    return parts[0] if order is None else torch.cat(list(parts))[order.to(parts[0].device)]


def _right(values: Tensor, columns: int) -> Tensor:
    """The last ``columns`` positions; where there are fewer, zeros are on their left."""
    missing = columns - values.shape[-2]
    return pad(values, (0, 0, missing, 0)) if missing > 0 else values[..., -missing:, :]


class _Growing:
    """Keys and values with free columns behind them, which new ones fill without a copy of the others."""

    keys: Tensor
    values: Tensor

    def _adopt(self, keys: Tensor, values: Tensor) -> None:
        """Takes tensors over. They may be shared: none of their columns is free, so nothing is written into them."""
        self.device, self.dtype, self.is_initialized = keys.device, keys.dtype, True
        self._stores = (keys, values)
        self._end = keys.shape[-2]
        self._show(0)

    def _show(self, start: int) -> None:
        """Makes the columns from a given one on the visible ones."""
        self._start = start
        self.keys, self.values = (store[..., start : self._end, :] for store in self._stores)

    def _append(self, *new: Tensor) -> None:
        """Writes new columns behind the visible ones, into larger tensors where these are full."""
        count = new[0].shape[-2]
        if self._end + count > self._stores[0].shape[-2]:
            used = self._end - self._start + count
            room = (0, 0, 0, count + max(ROOM, used // 4))
            self._stores = (pad(self.keys, room), pad(self.values, room))
            self._start, self._end = 0, used - count
        for store, columns in zip(self._stores, new, strict=True):
            store[..., self._end : self._end + count, :] = columns
        self._end += count
        self._show(self._start)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Copies the given rows, which may repeat or be fewer, and the free columns behind them."""
        keys, values = self._stores
        at = beam_idx.to(keys.device)
        self._stores = (keys.index_select(0, at), values.index_select(0, at))
        self._show(self._start)


class GrowingLayer(_Growing, DynamicLayer):
    """A layer of full attention that grows in place."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Adds new columns; returns all keys and values."""
        self._append(key_states, value_states)
        return self.keys, self.values

    def rearrange(self, rows: Tensor, columns: Tensor) -> None:
        """Keeps some rows, and of row i the given columns, ``columns[i]``, in their order."""
        rows, columns = rows.to(self.keys.device), columns.to(self.keys.device)[:, None, :, None]
        self._adopt(*(one[rows].take_along_dim(columns, 2) for one in (self.keys, self.values)))


class GrowingWindowLayer(_Growing, DynamicSlidingWindowLayer):
    """A layer of sliding-window attention that grows in place."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Adds new columns; returns what they attend to, and keeps what later ones will."""
        self.cumulative_length += key_states.shape[-2]
        self._append(key_states, value_states)
        seen = self.keys, self.values
        self._show(max(self._start, self._end - (self.sliding_window - 1)))
        return seen


def growing(cache: DynamicCache) -> DynamicCache:
    """A cache that begins as the given one and grows in place; the given one stays as it is."""
    twin = copy.copy(cache)
    twin.layers = [_growing_layer(layer) for layer in cache.layers]
    return twin


def _growing_layer(layer: DynamicLayer) -> DynamicLayer:
    if not layer.is_initialized:  # a layer that reads another layer's keys
        return copy.copy(layer)
    if isinstance(layer, DynamicSlidingWindowLayer):
        grown = GrowingWindowLayer(layer.sliding_window)
        grown.cumulative_length = layer.cumulative_length
    else:
        grown = GrowingLayer()
    grown._adopt(layer.keys, layer.values)
    return grown


def append_rows(cache: DynamicCache, rows: DynamicCache) -> None:
    """Puts the rows of a plain cache behind those of a growing one, the last positions of both side by side."""
    longest = max(cache.get_seq_length(), rows.get_seq_length())
    for layer, other in zip(cache.layers, rows.layers, strict=True):
        if not layer.is_initialized:
            continue
        columns = longest
        if isinstance(layer, GrowingWindowLayer):
            layer.cumulative_length, columns = longest, min(longest, layer.sliding_window - 1)
        layer._adopt(
            torch.cat([_right(layer.keys, columns), _right(other.keys, columns)]),
            torch.cat([_right(layer.values, columns), _right(other.values, columns)]),
        )


def trim(cache: DynamicCache, columns: int) -> None:
    """Forgets a growing cache's first positions, which hold nothing but padding."""
    length = cache.get_seq_length() - columns
    for layer in cache.layers:
        if layer.is_initialized:
            kept = length
            if isinstance(layer, GrowingWindowLayer):
                layer.cumulative_length, kept = length, min(length, layer.sliding_window - 1)
            layer._show(layer._end - min(kept, layer.keys.shape[-2]))
