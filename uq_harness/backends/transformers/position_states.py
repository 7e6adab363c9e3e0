"""Hidden states at the prompt's last positions, layer by layer as a forward pass computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor

from uq_harness.backends.transformers.architecture import Architecture, block_input, block_output
from uq_harness.backends.transformers.forward import states


@torch.no_grad()
def visit_last_positions(
    architecture: Architecture,
    ids: Tensor,
    mask: Tensor,
    layers: Iterable[int],
    count: int,
    visit: Callable[[int, Tensor], None],
) -> None:
    """Runs the decoder once and shows the states of each prompt's last tokens; no other state outlives its block.

    Args:
        architecture: The model.
        ids: Prompts padded on the left, ``[rows, length]``.
        mask: Their attention mask.
        layers: Which states: ``l`` is the state entering block ``l``, the number of blocks what leaves the last one.
        count: Number of positions from the end.
        visit: Is called once a layer, in their order, with the layer and its states ``[rows, count, width]``.
    """

    def show(layer: int, state: Tensor) -> Tensor:
        visit(layer, state[:, -count:])
        return state

    def show_output(output: Any) -> None:
        show(architecture.n_blocks, output[0] if isinstance(output, tuple) else output)

    with ExitStack() as stack:
        for layer in layers:
            within = layer < architecture.n_blocks
            stack.enter_context(
                block_input(architecture.blocks[layer], partial(show, layer))
                if within
                else block_output(architecture.blocks[-1], show_output)
            )
        states(architecture, ids, mask, use_cache=False)
