"""The rows that go through the model: one for each distinct prefix on which an answer still grows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from uq_harness.engine.anatomy import Anatomy
from uq_harness.engine.cache import is_plain, select
from uq_harness.engine.forward import states
from uq_harness.engine.lanes import IntArray


@dataclass(frozen=True)
class Rows:
    """Prefixes that the model has read.

    Attributes:
        mask: Their attention mask, ``[rows, length]``.
        head_states: The state that the head reads to predict each row's next token, ``[rows, width]``.
        cache: Their keys and values; ``None`` where the model's cache cannot be shared.
        ids: Their tokens, padded on the left; only where there is no cache, and they are read again at every step.
    """

    mask: Tensor
    head_states: Tensor
    cache: DynamicCache | None
    ids: Tensor | None

    def __len__(self) -> int:
        return len(self.mask)


def read_prompts(anatomy: Anatomy, ids: Tensor, mask: Tensor) -> Rows:
    """One row a prompt."""
    hidden, cache = states(anatomy, ids, mask)
    return Rows(mask, hidden[:, -1], cache, None) if is_plain(cache) else Rows(mask, hidden[:, -1], None, ids)


def grow(anatomy: Anatomy, rows: Rows, parents: IntArray, tokens: IntArray) -> Rows:
    """The rows that follow: row i is the given ones' row ``parents[i]`` and ``tokens[i]`` behind it.

    The given rows are used up where they have a cache: it may grow in place.
    """
    mask, cache, ids = rows.mask, rows.cache, rows.ids
    if not np.array_equal(parents, np.arange(len(rows))):
        at = torch.as_tensor(parents, device=mask.device)
        mask = mask.index_select(0, at)
        cache = select(cache, at) if cache is not None else None
        ids = ids.index_select(0, at) if ids is not None else None
    token = torch.as_tensor(tokens, device=mask.device)[:, None]
    mask = torch.cat([mask, torch.ones_like(token)], 1)
    if ids is not None:
        ids = torch.cat([ids, token], 1)
        hidden, _ = states(anatomy, ids, mask, use_cache=False)
    else:
        hidden, cache = states(anatomy, token, mask, cache)
    return Rows(mask, hidden[:, -1], cache, ids)
