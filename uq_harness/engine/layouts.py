"""Which way of keeping keys and values suits the prompts at hand."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from transformers.cache_utils import DynamicCache, DynamicLayer

from uq_harness.engine.anatomy import Anatomy
from uq_harness.engine.prefill import Prefill
from uq_harness.engine.rows import CopiedRows, ReadAgainRows, Rows
from uq_harness.engine.tree_rows import TreeRows

# ``auto`` shares the keys and values of long prompts with many answers, ``tree`` those of all prompts, ``copied`` none.
Layout = Literal["auto", "copied", "tree"]

# From how many tokens of a prompt, and how many answers to it, sharing pays (`python benchmarks/layouts.py`). Short
# answers gain from 64 tokens on; 40 answers that all differ over 80 tokens see too much of each other until about 300.
LONG_PROMPT = 256
MANY_ANSWERS = 8


def may_share(anatomy: Anatomy, cache: DynamicCache | None) -> bool:
    """Whether the model's attention takes a mask for every row apart: full attention, by sdpa or eagerly."""
    return (
        cache is not None
        and all(type(layer) is DynamicLayer and layer.is_initialized for layer in cache.layers)
        and anatomy.attention in ("sdpa", "eager")
        and anatomy.accepts("position_ids")
    )


def begin(anatomy: Anatomy, prefill: Prefill, watch: Collection[int], answers: int, layout: Layout) -> Rows:
    """The rows of prompts that have just been read.

    Args:
        anatomy: The model.
        prefill: The prompts.
        watch: Numbers of the blocks whose inputs are wanted.
        answers: Number of answers that grow from each prompt.
        layout: What is allowed.
    """
    if prefill.cache is None:
        return ReadAgainRows(anatomy, prefill, watch)
    worth = layout == "tree" or (prefill.ids.shape[1] >= LONG_PROMPT and answers >= MANY_ANSWERS)
    if layout != "copied" and worth and may_share(anatomy, prefill.cache):
        return TreeRows(anatomy, prefill, watch)
    return CopiedRows(anatomy, prefill, watch)
