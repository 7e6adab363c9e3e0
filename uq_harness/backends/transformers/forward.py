"""One forward pass of the model or its decoder, with only the arguments that the architecture takes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from uq_harness.backends.transformers.architecture import Architecture, block_input
from uq_harness.backends.transformers.cache import is_plain

# Logits that are in memory at a time; on a CPU few, so that they stay in its cache.
ENTRIES = 2**18
ENTRIES_ON_GPU = 2**26
# Logits of one product with the head's matrix, which is read once for all of them.
PRODUCT = 2**23


def left_pad(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids ``[rows, longest]`` padded on the left, and their attention mask."""
    width = max(map(len, rows))
    ids = [[pad] * (width - len(row)) + list(row) for row in rows]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def right_pad(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids ``[rows, longest]`` padded on the right, and their attention mask."""
    width = max(map(len, rows))
    ids = [list(row) + [pad] * (width - len(row)) for row in rows]
    mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def positions(mask: Tensor) -> Tensor:
    """Position of every token in its own sequence, without the padding on its left."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


def states(
    architecture: Architecture,
    ids: Tensor,
    mask: Tensor,
    cache: Any = None,
    use_cache: bool = True,
    position_ids: Tensor | None = None,
) -> tuple[Tensor, Any]:
    """Runs the decoder over the columns that the cache does not hold yet.

    Args:
        architecture: The model.
        ids: New token ids, ``[rows, new]``.
        mask: Attention mask over cached and new columns, ``[rows, cached + new]``; or, for every new column apart, what
            the blocks' attention takes as it is, ``[rows, 1, new, cached + new]``.
        cache: Key-value cache of the earlier columns; it grows.
        use_cache: Whether a cache is kept at all.
        position_ids: Positions of the new tokens, ``[rows, new]``; counted from the mask where absent.

    Returns:
        The states that the LM head reads, ``[rows, new, width]``, and the cache.
    """
    name = architecture.cache_argument
    arguments = {
        "input_ids": ids,
        "attention_mask": mask,
        "position_ids": positions(mask)[:, -ids.shape[1] :] if position_ids is None else position_ids,
        "use_cache": use_cache and name is not None,
    }
    arguments = {key: value for key, value in arguments.items() if architecture.accepts(key)}
    if name is not None and cache is not None:
        arguments[name] = cache
    output = architecture.decoder(**arguments)
    return output[0], getattr(output, name, None) if name is not None else None


def as_attention_takes_it(architecture: Architecture, mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask for every token apart: truth values for sdpa, summands for eager attention.

    Args:
        architecture: The model.
        mask: Which columns each token sees, ``[rows, 1, tokens, columns]``.
        dtype: Type of the model's states.
    """
    if architecture.attention != "eager":
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)


def watched_states(
    architecture: Architecture,
    ids: Tensor,
    mask: Tensor,
    cache: Any = None,
    use_cache: bool = True,
    position_ids: Tensor | None = None,
    watch: Collection[int] = (),
) -> tuple[Tensor, Any, dict[int, Tensor]]:
    """As `states`, with what entered the blocks of the given numbers, ``[rows, new, width]``."""
    entered: dict[int, Tensor] = {}

    def keep(block: int, state: Tensor) -> Tensor:
        entered[block] = state
        return state

    with ExitStack() as stack:
        for block in watch:
            stack.enter_context(block_input(architecture.blocks[block], partial(keep, block)))
        hidden, cache = states(architecture, ids, mask, cache, use_cache, position_ids)
    return hidden, cache, entered


def logits(architecture: Architecture, head_input: Tensor) -> Tensor:
    """The model's logits for the given states, ``[..., vocabulary]``, in the model's own precision."""
    return architecture.logits_of(architecture.head(head_input))


def rows_in_memory(vocabulary: int, device: torch.device) -> int:
    """How many rows of logits are in memory at a time, where what is made of them is small.

    >>> rows_in_memory(100_000, torch.device("cpu")), rows_in_memory(10**9, torch.device("cpu"))
    (2, 1)
    """
    return max(1, (ENTRIES if device.type == "cpu" else ENTRIES_ON_GPU) // vocabulary)


def rows_of_a_product(vocabulary: int, device: torch.device) -> int:
    """How many rows of logits are one product with the head's matrix; on a CPU more than are worked on at a time.

    >>> rows_of_a_product(100_000, torch.device("cpu")), rows_of_a_product(10**9, torch.device("cpu"))
    (83, 1)
    """
    few = rows_in_memory(vocabulary, device)
    return max(few, PRODUCT // vocabulary) if device.type == "cpu" else few


def without_autocast(device: torch.device) -> torch.autocast:
    """Where sums keep the precision of what is summed: products in 16 bits are the model's alone."""
    return torch.autocast(device.type, enabled=False)


def in_float64(values: Tensor) -> Tensor:
    """The values in float64, on the CPU where the device knows no float64."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def log_softmax_and_entropy(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities and entropy of logits, in float64: in float32 a sure token's ``1 - p`` loses its digits."""
    logprobs = in_float64(scores).log_softmax(-1)
    return logprobs, torch.special.entr(logprobs.exp()).sum(-1)


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
        cls, architecture: Architecture, prompts: Sequence[Sequence[int]], pad_id: int, watch: Collection[int] = ()
    ) -> Prefill:
        """Reads prompts.

        Args:
            architecture: The model.
            prompts: Their token ids.
            pad_id: Token that fills the padding.
            watch: Numbers of the blocks whose inputs are kept.
        """
        ids, mask = left_pad(prompts, pad_id, architecture.input_device)
        hidden, cache, entered = watched_states(architecture, ids, mask, watch=watch)
        # a clone, since a view would keep the states at all tokens in memory
        return cls(ids, mask, hidden[:, -1].clone(), cache if is_plain(cache) else None, entered)
