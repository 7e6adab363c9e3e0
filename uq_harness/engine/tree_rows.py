"""Rows that share their prompt's one row of the cache: nothing is copied, whatever parts or ends.

Every step writes the new tokens of all rows of a prompt side by side into that row, and a mask lets each row see the
prompt and its own ancestors alone. It pays where prompts are long: their keys and values are kept, and read from
memory, once and not once a row.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from uq_harness.engine.anatomy import Anatomy
from uq_harness.engine.cache import append_rows, growing
from uq_harness.engine.forward import watched_states
from uq_harness.engine.lanes import IntArray
from uq_harness.engine.prefill import Prefill
from uq_harness.engine.rows import Rows, stack_right


class TreeRows(Rows):
    """The rows of a prompt share one row of the cache."""

    def __init__(self, anatomy: Anatomy, prefill: Prefill, watch: Collection[int]) -> None:
        super().__init__(anatomy, prefill, watch)
        assert prefill.cache is not None
        self._cache = growing(prefill.cache)
        self._owner: IntArray = np.arange(len(self))  # the cache's row that each row lives in
        self._sees = prefill.mask.bool()  # the cache's columns that each row sees
        self._too_many_columns = 2 * self._sees.shape[1]
        self._eager = anatomy.attention == "eager"

    def grow(self, parents: IntArray, tokens: IntArray) -> None:
        """See `Rows.grow`."""
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
        # places that no row takes see themselves alone, for a softmax over nothing would be NaN
        mask = torch.eye(width, dtype=torch.bool, device=device).repeat(prompts, 1)
        mask = pad(mask, (self._sees.shape[1] - width, 0))
        mask[place] = self._sees
        ids, positions = (torch.zeros(prompts * width, dtype=torch.long, device=device) for _ in range(2))
        ids[place] = torch.as_tensor(tokens, device=device)
        positions[place] = self._sees.sum(1) - 1
        hidden, self._cache, entered = watched_states(
            self._anatomy,
            ids.view(prompts, width),
            self._as_attention_takes_it(mask.view(prompts, 1, width, -1)),
            self._cache,
            position_ids=positions.view(prompts, width),
            watch=self._watch,
        )
        self.head_states = hidden.flatten(0, 1)[place.to(hidden.device)]
        self.entered = {block: state.flatten(0, 1)[place.to(state.device)] for block, state in entered.items()}

    def _as_attention_takes_it(self, mask: Tensor) -> Tensor:
        """A mask of truth values for sdpa, of summands for eager attention."""
        if not self._eager:
            return mask
        dtype = self.head_states.dtype
        return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)

    def _compact_if_idle(self) -> None:
        """Compacts once half of the prompts have no row any more, or the columns have doubled."""
        columns, prompts = self._sees.shape[1], len(self._cache.layers[0].keys)
        if 2 * len(np.unique(self._owner)) <= prompts or columns > self._too_many_columns:
            self._compact()

    def _compact(self) -> None:
        """Forgets prompts without rows, and of each other prompt the columns that none of its rows sees."""
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
