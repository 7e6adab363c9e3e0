"""Gradients of a batch of greedy answers, exact and cheap.

Three facts keep the cost down. The gradient with respect to the LM head's matrix is a product of what decoding has
computed already, so it takes no backward pass. By causality nothing before the semantic-preserving token matters, so
the prompt's key-value cache serves as constants. And blocks below the lowest one asked for need no graph, so only the
blocks above it run again, from the states that entered it during decoding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uq_harness.engine.anatomy import Anatomy, block_input, frozen
from uq_harness.engine.cache import cut, share
from uq_harness.engine.decode import Decoded, in_float64, log_softmax_and_entropy
from uq_harness.engine.forward import states
from uq_harness.evidence import FloatArray, StateGradientNorms

# Entries of the head's gradient that are in memory at a time: about what a CPU core's second-level cache holds.
BLOCK_ENTRIES = 2**17
BLOCK_ENTRIES_ON_GPU = 2**26


@dataclass(frozen=True)
class Gradients:
    """What the gradient pass yields for one answer; keys say whether tokens were weighted by their entropies.

    Attributes:
        head: Mean absolute value of the gradient with respect to the LM head's matrix.
        states: Sizes of the gradients with respect to the inputs of the blocks from the lowest one asked for to the
            last, at the semantic-preserving token.
    """

    head: dict[bool, float]
    states: dict[bool, StateGradientNorms]


@dataclass(frozen=True)
class Request:
    """What the gradient pass has to yield.

    Attributes:
        head: Weightings (true: by entropy) for which the head's gradient is wanted.
        states: Weightings for which state gradients are wanted.
        first_block: The lowest block whose input is wanted.
    """

    head: frozenset[bool]
    states: frozenset[bool]
    first_block: int


def gradients(
    anatomy: Anatomy, decoded: Decoded, scored: list[range], columns: list[int], request: Request
) -> list[Gradients]:
    """Gradients of every answer of a batch.

    Args:
        anatomy: The model.
        decoded: The answers, decoded with the block ``request.first_block`` tapped.
        scored: For each answer the range of its tokens that count (thinking and stop strings do not).
        columns: For each answer the prompt column of its semantic-preserving token.
        request: What is wanted.
    """
    heads: list[dict[bool, float]] = []
    pulls = {weighted: torch.zeros_like(decoded.head_states) for weighted in request.states}
    scales = torch.ones(len(scored), len(request.states), dtype=torch.float64)
    with frozen(anatomy.model):
        for row, tokens in enumerate(scored):
            read = decoded.head_states[row, tokens.start : tokens.stop].detach().requires_grad_(bool(request.states))
            with torch.enable_grad():
                linear = anatomy.head(read)
            errors = _errors(anatomy, linear.detach(), decoded.token_ids[row, tokens.start : tokens.stop])
            heads.append({w: _mean_absolute(errors[w], read.detach()) for w in request.head})
            for i, weighted in enumerate(request.states):
                pulls[weighted][row, tokens.start : tokens.stop], scales[row, i] = _pull(linear, read, errors[weighted])
    norms = _state_gradients(anatomy, decoded, columns, pulls, request.first_block) if request.states else {}
    return [
        Gradients(
            head=heads[row],
            states={
                weighted: StateGradientNorms(
                    absolute=norms[weighted][0][:, row] * float(scales[row, i]),
                    squared=norms[weighted][1][:, row] * float(scales[row, i]) ** 2,
                )
                for i, weighted in enumerate(request.states)
            },
        )
        for row in range(len(scored))
    ]


def _errors(anatomy: Anatomy, linear: Tensor, chosen: Tensor) -> dict[bool, Tensor]:
    """The loss's gradient with respect to the head's linear output, ``[tokens, vocabulary]``, float64.

    It is ``c_t (p_t - e_t)`` with ``c_t = H_t/T`` or ``1/T``, times the slope of what the model does to logits.
    """
    scores = anatomy.bend(linear)
    logprobs, entropy = log_softmax_and_entropy(scores)
    error = logprobs.exp()
    error[torch.arange(len(chosen), device=error.device), chosen.to(error.device)] -= 1
    error *= anatomy.slope(in_float64(scores))
    error /= max(1, len(chosen))
    return {False: error, True: error * entropy[:, None]}


def _mean_absolute(error: Tensor, read: Tensor) -> float:
    """Mean of ``|Σ_t error_t readᵀ_t|`` over the head's matrix, a block of the vocabulary at a time."""
    precise = torch.promote_types(read.dtype, torch.float32)
    error, read = error.to(read.device, precise), read.to(precise)
    vocabulary, width = error.shape[1], read.shape[1]
    if not len(error):  # an answer without tokens has no gradient
        return math.nan
    entries = BLOCK_ENTRIES if read.device.type == "cpu" else BLOCK_ENTRIES_ON_GPU
    total = torch.zeros((), dtype=torch.float64, device=read.device)
    for part in error.split(max(1, entries // width), dim=1):
        # three times as fast on a CPU as a vector norm, and `sum` adds pairwise, which keeps the digits
        total += (part.T @ read).abs_().sum()
    return float(total) / (vocabulary * width)


def _pull(linear: Tensor, read: Tensor, error: Tensor) -> tuple[Tensor, float]:
    """The loss's gradient with respect to the states that the head reads, scaled, and the scale.

    Scaling the error to a largest entry of 1 keeps the tiny gradients of sure answers within the range of 16-bit
    floats; what follows is linear, so multiplying its result by the scale afterwards gives the gradient itself.
    """
    scale = float(error.abs().max()) if len(error) else math.nan
    if not scale > 0:
        return torch.zeros_like(read), scale
    scaled = (error / scale).to(linear.device, linear.dtype)
    return torch.autograd.grad(linear, read, scaled, retain_graph=True)[0], scale


def _state_gradients(
    anatomy: Anatomy, decoded: Decoded, columns: list[int], pulls: dict[bool, Tensor], first_block: int
) -> dict[bool, FloatArray]:
    """Mean absolute value and mean square of the gradient at each answer's column, ``[2, blocks, batch]``.

    Args:
        anatomy: The model.
        decoded: The answers.
        columns: The prompt column of each answer's semantic-preserving token.
        pulls: Gradient of each loss with respect to the states that the head reads, ``[batch, steps, width]``.
        first_block: Lowest block whose input is wanted.
    """
    assert decoded.middle_states is not None
    start = decoded.first_column
    prompt_length, steps = decoded.prompt_ids.shape[1], decoded.token_ids.shape[1]
    fed = decoded.token_ids[:, : steps - 1]  # the last token predicts nothing
    ids = torch.cat([decoded.prompt_ids, fed], 1)
    mask = torch.cat([decoded.prompt_mask, torch.ones_like(fed)], 1)
    prefix = _prefix_cache(anatomy, decoded, start)
    at = torch.tensor(columns) - start
    grown = anatomy.n_blocks - first_block
    sizes = {w: np.zeros((2, grown, len(columns))) for w in pulls}
    current: list[bool] = []

    def measure(level: int, gradient: Tensor) -> None:
        chosen = in_float64(gradient[torch.arange(len(at)), at])
        sizes[current[-1]][:, level] = torch.stack([chosen.abs().mean(-1), chosen.square().mean(-1)]).cpu().numpy()

    with frozen(anatomy.model), torch.enable_grad():
        leaf = decoded.middle_states.detach().requires_grad_(True)
        read = _run_upper_blocks(anatomy, leaf, ids[:, start:], mask, prefix, first_block, measure)
        read = read[:, prompt_length - 1 - start :]
        for i, (weighted, pull) in enumerate(pulls.items()):
            current.append(weighted)
            (gradient,) = torch.autograd.grad(
                read, leaf, pull.to(read.device, read.dtype), retain_graph=i + 1 < len(pulls)
            )
            measure(0, gradient)
    return sizes


def _prefix_cache(anatomy: Anatomy, decoded: Decoded, length: int) -> Any:
    """Keys and values of the first ``length`` prompt columns, as constants."""
    if length == 0:
        return None
    kept = cut(decoded.prompt_cache, length) if decoded.prompt_cache is not None else None
    if kept is None:  # a sliding window has dropped what lies before the semantic-preserving token
        with torch.no_grad():
            kept = states(anatomy, decoded.prompt_ids[:, :length], decoded.prompt_mask[:, :length])[1]
    return share(kept)


def _run_upper_blocks(
    anatomy: Anatomy,
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
        for block in anatomy.blocks[:first_block]:
            stack.enter_context(_passing_through(block, anatomy.blocks_return_tuples))
        for level, block in enumerate(anatomy.blocks[first_block:]):
            stack.enter_context(block_input(block, enter(level)))
        return states(anatomy, ids, mask, prefix)[0]


@contextmanager
def _passing_through(block: nn.Module, returns_tuple: bool) -> Iterator[None]:
    """Makes a block hand its input on unchanged for a while."""
    own = block.__dict__.get("forward")

    def forward(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        return (hidden_states,) if returns_tuple else hidden_states

    block.forward = forward
    try:
        yield
    finally:
        if own is None:
            del block.forward
        else:
            block.forward = own
