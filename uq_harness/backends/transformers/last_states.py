"""Hidden states at the last positions of several prompts, kept to be compared with each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.forward import left_pad
from uq_harness.backends.transformers.position_states import visit_last_positions
from uq_harness.batching import in_shrinking_batches


def last_states(
    architecture: Architecture,
    prompts: Sequence[Sequence[int]],
    layers: Sequence[int],
    count: int,
    pad_id: int,
    size: int,
) -> Tensor:
    """The states of each prompt's last tokens, ``[prompts, layers, count, width]``, float32 on the CPU.

    Args:
        architecture: The model.
        prompts: Token ids of prompts with at least ``count`` tokens.
        layers: Which states: ``l`` is the state entering block ``l``.
        count: Number of positions from the end.
        pad_id: Token that fills the padding.
        size: Number of prompts that go through the model together; it halves where memory runs out.
    """

    def read(batch: Sequence[Sequence[int]]) -> Tensor:
        seen: list[Tensor] = []
        ids, mask = left_pad(batch, pad_id, architecture.input_device)

        def keep(_: int, states: Tensor) -> None:
            seen.append(states.to("cpu", torch.float32, copy=True))  # a view would hold all positions in memory

        visit_last_positions(architecture, ids, mask, layers, count, keep)
        return torch.stack(seen, 1)

    return torch.cat([found for _, found in in_shrinking_batches(read, prompts, size)])


def mean_cosine(states: Tensor) -> float:
    """Mean cosine between the states of all pairs of prompts, averaged over layers.

    Args:
        states: ``[prompts, layers, width]``, at least two prompts.

    >>> mean_cosine(torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[2.0, 0.0], [0.0, 1.0]]]))
    0.5
    """
    units = torch.nn.functional.normalize(states.double(), dim=-1)
    count = len(units)
    return float(((units.sum(0).square().sum(-1) - count) / (count * (count - 1))).mean())
