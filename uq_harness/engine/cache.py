"""Key-value caches: sharing a prompt's keys and values between decoding and later passes."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer


def is_plain(cache: Any) -> bool:
    """Whether the cache is a list of plain keys and values, which may be shared, cut and repeated."""
    return type(cache) is DynamicCache and all(
        type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers
    )


def share(cache: DynamicCache) -> DynamicCache:
    """A cache that grows on its own.

    Layers are copied shallowly: growing a cache binds new tensors and leaves the old ones alone.
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
