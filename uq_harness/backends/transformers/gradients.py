"""Gradients of a batch of greedy answers, exact and cheap.

Three facts keep the cost down. The gradient with respect to the LM head's matrix is a product of what decoding has
computed already, so it takes no backward pass. By causality nothing before the semantic-preserving token matters, so
the prompt's key-value cache serves as constants. And blocks below the lowest one asked for need no graph, so only the
blocks above it run again, from the states that entered it during decoding.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uq_harness.backends.transformers.architecture import Architecture, block_input
from uq_harness.backends.transformers.cache import cut, select, share
from uq_harness.backends.transformers.decoded import Decoded
from uq_harness.backends.transformers.forward import in_float64, states
from uq_harness.backends.transformers.head import Request, at_the_head
from uq_harness.backends.transformers.in_range import in_range, known
from uq_harness.backends.transformers.parts import Part, PartsWatch, add_parts
from uq_harness.backends.transformers.passes import alike, padding_worth_a_pass
from uq_harness.backends.transformers.sequences import IntArray
from uq_harness.evidence import StateGradientNorms
from uq_harness.functional import FloatArray

TOKENS_WORTH_A_PASS_ON_GPU = 256  # padding that costs as much as another pass, which reads all weights again


@dataclass(frozen=True)
class Gradients:
    """What the gradient pass yields for one answer; keys say whether tokens were weighted by their entropies.

    Attributes:
        head: Mean absolute value of the gradient with respect to the LM head's matrix.
        states: Sizes of the gradients with respect to the inputs of the blocks from the lowest one asked for to the
            last, at each of the answer's prompt columns, ``[layers, columns]``.
        tied: Mean absolute value of the gradient with respect to the matrix that head and embedding share.
        seconds: What the parts of the pass took for it, as far as that was measured.
    """

    head: dict[bool, float]
    states: dict[bool, StateGradientNorms]
    tied: dict[bool, float] = field(default_factory=dict)
    seconds: dict[Part, float] = field(default_factory=dict)


def gradients(
    architecture: Architecture, decoded: Decoded, scored: list[range], columns: IntArray, request: Request
) -> list[Gradients]:
    """Gradients of every answer of a batch; one backward pass serves all layers and columns.

    Args:
        architecture: The model.
        decoded: The answers, decoded with the block ``request.first_block`` captured.
        scored: For each answer the range of its tokens that count (thinking and stop strings do not).
        columns: The prompt columns whose states are meant, ``[batch, columns]``; none is before those that
            ``decoded`` has kept of the captured block.
        request: What is wanted.
    """
    heads, at_head_input, scales, seconds = at_the_head(architecture, decoded, scored, request)
    levels = architecture.n_blocks - request.first_block
    sizes = {weighted: np.zeros((2, len(scored), levels, columns.shape[1])) for weighted in at_head_input}
    for rows in _groups_of_like_length(architecture, scored) if at_head_input else ():
        steps = max(1, *(scored[row].stop for row in rows))
        wanted = {weighted: gradient[rows, :steps] for weighted, gradient in at_head_input.items()}
        watch = PartsWatch()
        part = _part(decoded, rows, steps)
        found = _state_gradients(architecture, part, columns[rows], wanted, request.first_block, watch)
        for row in rows:
            add_parts(seconds[row], watch.seconds, 1 / len(rows))
        for weighted, values in found.items():
            sizes[weighted][:, rows] = values
    norms = {weighted: _unscaled(found, scales[weighted]) for weighted, found in sizes.items()}
    return [
        Gradients(
            head=heads[row],
            states={w: StateGradientNorms(*found[:, row]) for w, found in norms.items()},
            seconds=seconds[row],
        )
        for row in range(len(scored))
    ]


def _unscaled(sizes: FloatArray, scales: FloatArray) -> FloatArray:
    """The sizes of the losses' own gradients, ``[2, batch, levels, columns]``.

    Args:
        sizes: Those of the scaled ones, of the same shape.
        scales: The scales, ``[batch]``; 0 for a loss that is constant, and so has no gradient.
    """
    scale = scales[:, None, None]
    return np.where(scale > 0, known(sizes), sizes) * np.stack([scale, scale**2])


def _groups_of_like_length(architecture: Architecture, scored: list[range]) -> Iterator[list[int]]:
    """Rows whose answers are so alike in length that little is padding."""
    on_cpu = architecture.input_device.type == "cpu"
    padding = padding_worth_a_pass(architecture) if on_cpu else TOKENS_WORTH_A_PASS_ON_GPU
    return map(sorted, alike([(1, tokens.stop) for tokens in scored], sys.maxsize, padding))


def _part(decoded: Decoded, rows: list[int], steps: int) -> Decoded:
    """Some rows of a batch, with no more steps than they need."""
    if rows == list(range(len(decoded.lengths))) and steps == decoded.token_ids.shape[1]:
        return decoded
    assert decoded.middle_states is not None
    at = torch.tensor(rows, device=decoded.prompt_ids.device)
    columns = decoded.prompt_ids.shape[1] - decoded.first_column + steps - 1
    return replace(
        decoded,
        prompt_ids=decoded.prompt_ids[at],
        prompt_mask=decoded.prompt_mask[at],
        token_ids=decoded.token_ids[at, :steps],
        middle_states=decoded.middle_states[at.to(decoded.middle_states.device), :columns],
        prompt_cache=None if decoded.prompt_cache is None else select(decoded.prompt_cache, at),
    )


def _state_gradients(
    architecture: Architecture,
    decoded: Decoded,
    columns: IntArray,
    at_head_input: dict[bool, Tensor],
    first_block: int,
    watch: PartsWatch,
) -> dict[bool, FloatArray]:
    """Mean absolute value and mean square of the gradient at each answer's columns, ``[2, batch, blocks, columns]``.

    Args:
        architecture: The model.
        decoded: The answers.
        columns: Each answer's prompt columns, ``[batch, columns]``.
        at_head_input: Gradient of each loss with respect to the states that the head reads, ``[batch, steps, width]``.
        first_block: Lowest block whose input is wanted.
        watch: Takes the time of the parts.
    """
    assert decoded.middle_states is not None
    start = decoded.first_column
    prompt_length, steps = decoded.prompt_ids.shape[1], decoded.token_ids.shape[1]
    fed = decoded.token_ids[:, : steps - 1]  # the last token predicts nothing
    ids = torch.cat([decoded.prompt_ids, fed], 1)
    mask = torch.cat([decoded.prompt_mask, torch.ones_like(fed)], 1)
    prefix = _prefix_cache(architecture, decoded, start)
    rows, at = torch.arange(len(columns))[:, None], torch.as_tensor(columns) - start
    levels = architecture.n_blocks - first_block
    sizes = np.zeros((2, len(columns), levels, columns.shape[1]))

    def measure(level: int, gradient: Tensor) -> None:
        chosen = in_float64(gradient[rows, at])
        sizes[:, :, level] = torch.stack([chosen.abs().mean(-1), chosen.square().mean(-1)]).cpu().numpy()

    with torch.enable_grad():
        leaf = decoded.middle_states.detach().requires_grad_(True)
        read = _run_upper_blocks(architecture, leaf, ids[:, start:], mask, prefix, first_block, measure)
        read = read[:, prompt_length - 1 - start :]
    watch.took("blocks", None, read)

    def backward(start: Tensor, factor: float) -> FloatArray:
        sizes[:] = 0
        (gradient,) = torch.autograd.grad(read, leaf, start.to(read.device, read.dtype) * factor, retain_graph=True)
        measure(0, gradient)
        return sizes.copy()

    found = {}
    for weighted, gradient in at_head_input.items():
        found[weighted] = in_range(partial(backward, gradient))
        watch.took("states", weighted)
    return found


def _prefix_cache(architecture: Architecture, decoded: Decoded, length: int) -> Any:
    """Keys and values of the first ``length`` prompt columns, as constants."""
    if length == 0:
        return None
    kept = cut(decoded.prompt_cache, length) if decoded.prompt_cache is not None else None
    if kept is None:  # a sliding window has dropped what is before the semantic-preserving token
        with torch.no_grad():
            kept = states(architecture, decoded.prompt_ids[:, :length], decoded.prompt_mask[:, :length])[1]
    return share(kept)


def _run_upper_blocks(
    architecture: Architecture,
    leaf: Tensor,
    ids: Tensor,
    mask: Tensor,
    prefix: Any,
    first_block: int,
    measure: Callable[[int, Tensor], None],
) -> Tensor:
    """The states that the head reads, computed from ``leaf`` as the input of ``first_block``.

    The decoder runs as a whole, so that it makes its own masks and position embeddings; the blocks below pass their
    input through. ``measure`` is called in the backward pass with the level above ``first_block`` and the gradient.
    """

    def enter(level: int) -> Callable[[Tensor], Tensor]:
        def watch(state: Tensor) -> Tensor:
            if level == 0:
                return leaf
            state.register_hook(lambda gradient: measure(level, gradient))
            return state

        return watch

    with ExitStack() as stack:
        for block in architecture.blocks[:first_block]:
            stack.enter_context(_passing_through(block, architecture.blocks_return_tuples))
        for level, block in enumerate(architecture.blocks[first_block:]):
            stack.enter_context(block_input(block, enter(level)))
        return states(architecture, ids, mask, prefix)[0]


@contextmanager
def _passing_through(block: nn.Module, returns_tuple: bool) -> Iterator[None]:
    """Makes a block hand its input on unchanged in this thread for a while."""
    own, usual, owner = block.__dict__.get("forward"), block.forward, threading.get_ident()

    def forward(*args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != owner:
            return usual(*args, **kwargs)
        state = args[0] if args else kwargs["hidden_states"]
        return (state,) if returns_tuple else state

    block.forward = forward
    try:
        yield
    finally:
        if own is None:
            del block.forward
        else:
            block.forward = own
