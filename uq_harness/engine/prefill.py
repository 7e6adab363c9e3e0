"""Prompts that the model has read: what decoding, the gradient pass and teacher-forced scores start from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from uq_harness.engine.anatomy import Anatomy
from uq_harness.engine.cache import is_plain
from uq_harness.engine.forward import left_pad, watched_states


@dataclass(frozen=True)
class Prefill:
    """Prompts that the model has read.

    Attributes:
        ids: Prompts, padded on the left, ``[prompts, length]``.
        mask: Their attention mask.
        last_state: The state that the head reads after each prompt's last token, ``[prompts, width]``.
        cache: Their keys and values; ``None`` where the model's cache cannot be shared.
        entered: What entered the watched blocks, by their numbers, ``[prompts, length, width]``.
    """

    ids: Tensor
    mask: Tensor
    last_state: Tensor
    cache: DynamicCache | None
    entered: dict[int, Tensor]

    @classmethod
    @torch.no_grad()
    def read(
        cls, anatomy: Anatomy, prompts: Sequence[Sequence[int]], pad_id: int, watch: Collection[int] = ()
    ) -> Prefill:
        """Reads prompts.

        Args:
            anatomy: The model.
            prompts: Their token ids.
            pad_id: Token that fills the padding.
            watch: Numbers of the blocks whose inputs are kept.
        """
        ids, mask = left_pad(prompts, pad_id, anatomy.input_device)
        hidden, cache, entered = watched_states(anatomy, ids, mask, watch=watch)
        # a clone, since a view would keep the states at all tokens in memory
        return cls(ids, mask, hidden[:, -1].clone(), cache if is_plain(cache) else None, entered)
