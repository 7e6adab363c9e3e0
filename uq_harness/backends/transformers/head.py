"""The loss at the LM head in closed form: the head's own gradient, and where the state gradients start.

A token's share of the loss's gradient at the head's output is its error ``p - e`` times its weight, ``1/T`` or ``H/T``;
so both weightings have the same errors, and one product with the head's matrix leads back from them. Logits of several
answers are one product too, which reads the matrix once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.decoded import Decoded
from uq_harness.backends.transformers.forward import PRODUCT, in_float64, rows_in_memory, without_autocast
from uq_harness.backends.transformers.parts import Part, PartsWatch, add_parts
from uq_harness.functional import FloatArray

# Entries of the head's gradient that are in memory at a time: about what a CPU core's second-level cache holds.
BLOCK_ENTRIES = 2**17
BLOCK_ENTRIES_ON_GPU = 2**26
# Where less than this is left for all other tokens, float32 holds too few digits of it, or nothing at all.
SURE = 1e-30


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


def at_the_head(
    architecture: Architecture, decoded: Decoded, scored: list[range], request: Request
) -> tuple[list[dict[bool, float]], dict[bool, Tensor], dict[bool, FloatArray], list[dict[Part, float]]]:
    """The head's gradients, and where the state gradients start: what each loss makes of the states the head reads.

    Returns:
        For each answer the head's gradients; for each weighting the scaled gradients with respect to the states that
        the head reads, ``[batch, steps, width]``, and their scales, ``[batch]``; for each answer the seconds of the
        parts.
    """
    seconds: list[dict[Part, float]] = [{} for _ in scored]
    heads: list[dict[bool, float]] = [{} for _ in scored]
    at_head_input = {weighted: torch.zeros_like(decoded.head_states) for weighted in request.states}
    scales = {weighted: np.zeros(len(scored)) for weighted in request.states}
    for rows in _together(architecture, scored):
        watch = PartsWatch()
        parts = {row: slice(scored[row].start, scored[row].stop) for row in rows}
        read = torch.cat([decoded.head_states[row, part] for row, part in parts.items()]).detach()
        read.requires_grad_(bool(request.states))
        chosen = torch.cat([decoded.token_ids[row, part] for row, part in parts.items()])
        with torch.set_grad_enabled(bool(request.states)):
            linear = architecture.head(read)
        errors, entropies = errors_at_the_head(architecture, linear.detach(), chosen)
        counts = [len(scored[row]) for row in rows]
        losses = [weights(entropy) for entropy in entropies.split(counts)]
        watch.took("loss", None, errors)
        states = read.detach().split(counts)
        for row, error, state, loss in zip(rows, errors.split(counts), states, losses, strict=True):
            for weighted in request.head:
                heads[row][weighted] = mean_absolute(error, state, loss[weighted])
                watch.took("head", weighted)
        if request.states:
            gradients, largest = head_input_gradients(linear, read, errors)
            watch.took("states", None, gradients)
            split = gradients.split(counts), largest.split(counts)
            for row, gradient, scale, loss in zip(rows, *split, losses, strict=True):
                for weighted in request.states:
                    start, scales[weighted][row] = scaled(gradient, scale, loss[weighted])
                    at_head_input[weighted][row, parts[row]] = start.to(at_head_input[weighted].dtype)
                    watch.took("states", weighted)
        for row, count in zip(rows, counts, strict=True):
            add_parts(seconds[row], watch.seconds, count / max(1, sum(counts)))
    return heads, at_head_input, scales, seconds


def _together(architecture: Architecture, scored: list[range]) -> Iterator[list[int]]:
    """Rows whose logits are one product; a quantised head may round by what shares it, and takes each answer alone."""
    most = PRODUCT // architecture.vocabulary if architecture.has_dense_head else 0
    part: list[int] = []
    for row, tokens in enumerate(scored):
        if part and sum(len(scored[one]) for one in part) + len(tokens) > most:
            yield part
            part = []
        part.append(row)
    if part:
        yield part


def weights(entropies: Tensor) -> dict[bool, Tensor]:
    """The weight of each of an answer's tokens in the loss, ``1/T``, or ``H/T`` by entropy; ``[tokens]``, float64."""
    count = max(1, len(entropies))
    return {False: torch.full_like(entropies, 1 / count), True: entropies / count}


def errors_at_the_head(architecture: Architecture, linear: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """What each token's loss makes of the head's linear output, and the entropies of the tokens' distributions.

    It is ``p_t - e_t`` times the slope of what the model does to logits. A sure token's ``1 - p`` is what the sizes of
    gradients are about, and a sum that holds the token's own 1 loses its digits; so the others are summed alone, which
    keeps them in float32; where a token is so sure that float32 does not hold what is left, all are in float64.

    Args:
        architecture: The model.
        linear: The head's output, ``[tokens, vocabulary]``.
        chosen: The tokens, ``[tokens]``.

    Returns:
        The errors, ``[tokens, vocabulary]``, in float32 at least; the entropies in nats, ``[tokens]``, float64.
    """
    scores = architecture.logits_of(linear)
    with without_autocast(scores.device):
        found = _all_errors(architecture, scores, chosen, torch.promote_types(scores.dtype, torch.float32))
        if found is None:
            found = _all_errors(architecture, in_float64(scores), chosen, torch.float64)
    assert found is not None  # float64 is never too small
    return found


def _all_errors(
    architecture: Architecture, scores: Tensor, chosen: Tensor, precise: torch.dtype
) -> tuple[Tensor, Tensor] | None:
    """Errors and entropies as `errors_at_the_head` returns them; ``None`` where a type of fewer digits is too small."""
    errors = torch.empty(scores.shape, dtype=precise, device=scores.device)
    entropies = in_float64(torch.zeros(len(scores), device=scores.device))
    size = rows_in_memory(architecture.vocabulary, scores.device)
    for start in range(0, len(scores), size):
        part = slice(start, start + size)
        rest, entropies[part] = _errors(scores[part].to(precise), chosen[part, None].to(scores.device), errors[part])
        if precise != torch.float64 and rest.min() < SURE:
            return None
        if architecture.logit_softcap or architecture.logit_scale != 1:
            errors[part] *= architecture.logit_slope(scores[part].to(precise))
    return errors, entropies


def _errors(scores: Tensor, chosen: Tensor, errors: Tensor) -> tuple[Tensor, Tensor]:
    """Writes ``p - e`` of a few rows of logits; one exponential a logit.

    Returns:
        What the others add up to where the likeliest token counts 1, and the entropies.
    """
    highest, best = scores.max(-1, keepdim=True)
    below = scores - highest
    others = torch.exp(below, out=errors).scatter_(-1, best, 0)
    rest = in_float64(others.sum(-1, keepdim=True))
    # the clamp: a logit of minus infinity has no share in the entropy
    spread = in_float64(torch.linalg.vecdot(others, below.clamp_(min=torch.finfo(below.dtype).min)))
    of_best = 1 / (1 + rest)
    errors *= of_best.to(errors.device, errors.dtype)
    errors.scatter_(-1, best, of_best.to(errors.device, errors.dtype))
    of_another = in_float64(errors.gather(-1, chosen)) - 1
    of_chosen = torch.where((best == chosen).to(rest.device), -rest * of_best, of_another)
    errors.scatter_(-1, chosen, of_chosen.to(errors.device, errors.dtype))
    return rest, (rest.log1p() - spread[:, None] / (1 + rest))[:, 0]


def mean_absolute(error: Tensor, read: Tensor, weight: Tensor) -> float:
    """Mean of ``|Σ_t w_t error_t readᵀ_t|`` over the head's matrix, a block of the vocabulary at a time."""
    precise = torch.promote_types(read.dtype, torch.float32)
    error, read = error.to(read.device, precise), read.to(precise) * weight[:, None].to(read.device, precise)
    vocabulary, width = error.shape[1], read.shape[1]
    if not len(error):  # an answer without tokens has no gradient
        return math.nan
    entries = BLOCK_ENTRIES if read.device.type == "cpu" else BLOCK_ENTRIES_ON_GPU
    total = in_float64(torch.zeros((), device=read.device))
    with without_autocast(read.device):
        for part in error.split(max(1, entries // width), dim=1):
            # three times as fast on a CPU as a vector norm, and `sum` adds pairwise, which keeps the digits
            total += (part.T @ read).abs_().sum().to(total.device)
    return float(total) / (vocabulary * width)


class _Start(NamedTuple):
    """Where the state gradients of some tokens start, one a token.

    Attributes:
        gradient: The gradient of each token's loss with respect to the state that the head read, divided by the largest
            entry of its error, ``[tokens, width]``, in float32 at least.
        scale: That entry, ``[tokens]``.
    """

    gradient: Tensor
    scale: Tensor


def head_input_gradients(linear: Tensor, read: Tensor, errors: Tensor) -> _Start:
    """The gradients of the tokens' losses with respect to the states that the head reads; overwrites the errors.

    Each error is scaled to a largest entry of 1, which keeps the tiny gradients of sure answers within the range of
    16-bit floats; what follows is linear, so multiplying its result by the scale afterwards gives the gradient itself.
    """
    scale = torch.linalg.vector_norm(errors, math.inf, -1) if len(errors) else errors.sum(-1)
    errors /= torch.where(scale > 0, scale, 1)[:, None]
    given = errors.to(linear.device, linear.dtype)
    (gradient,) = torch.autograd.grad(linear, read, given)
    return _Start(gradient.to(torch.promote_types(gradient.dtype, torch.float32)), scale)


def scaled(gradient: Tensor, scale: Tensor, weight: Tensor) -> tuple[Tensor, float]:
    """An answer's gradient by its tokens' weights, scaled to a largest entry of 1, and the scale.

    Args:
        gradient: As in `head_input_gradients`, ``[tokens, width]``.
        scale: Likewise, ``[tokens]``.
        weight: The tokens' weights in the loss, ``[tokens]``.

    Returns:
        The scaled gradient, and its scale: 0 for a loss that is constant, and so has no gradient; ``nan`` without
        tokens.
    """
    factor = in_float64(scale) * weight.to(in_float64(scale).device)
    largest = float(factor.max()) if len(factor) else math.nan
    if not largest > 0:
        return torch.zeros_like(gradient), largest
    found = gradient * (factor / largest)[:, None].to(gradient.device, gradient.dtype)
    peak = float(found.abs().max())
    return (found / peak, largest * peak) if 0 < peak < math.inf else (found, largest)
