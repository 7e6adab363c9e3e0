"""The loss at the LM head in closed form: the head's own gradient, and where the state gradients start."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.decoded import Decoded
from uq_harness.backends.transformers.forward import in_float64, rows_in_memory
from uq_harness.backends.transformers.parts import Part, PartsWatch
from uq_harness.functional import FloatArray

# Entries of the head's gradient that are in memory at a time: about what a CPU core's second-level cache holds.
BLOCK_ENTRIES = 2**17
BLOCK_ENTRIES_ON_GPU = 2**26
_NO_PROBABILITY = -800.0  # its exponential is 0 in float64


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
    seconds: list[dict[Part, float]] = []
    heads: list[dict[bool, float]] = []
    at_head_input = {weighted: torch.zeros_like(decoded.head_states) for weighted in request.states}
    scales = {weighted: np.zeros(len(scored)) for weighted in request.states}
    for row, tokens in enumerate(scored):
        watch = PartsWatch()
        part = slice(tokens.start, tokens.stop)
        read = decoded.head_states[row, part].detach().requires_grad_(bool(request.states))
        with torch.set_grad_enabled(bool(request.states)):
            linear = architecture.head(read)
        errors = errors_at_the_head(architecture, linear.detach(), decoded.token_ids[row, part])
        watch.took("loss", None, errors[False])
        heads.append({})
        for weighted in request.head:
            heads[row][weighted] = mean_absolute(errors[weighted], read.detach())
            watch.took("head", weighted)
        for weighted in request.states:
            at_head_input[weighted][row, part], scales[weighted][row] = head_input_gradient(
                linear, read, errors[weighted]
            )
            watch.took("states", weighted)
        seconds.append(watch.seconds)
    return heads, at_head_input, scales, seconds


def errors_at_the_head(architecture: Architecture, linear: Tensor, chosen: Tensor) -> dict[bool, Tensor]:
    """The loss's gradient with respect to the head's linear output, ``[tokens, vocabulary]``, float64.

    It is ``c_t (p_t - e_t)`` with ``c_t = H_t/T`` or ``1/T``, times the slope of what the model does to logits.
    """
    scores = architecture.logits_of(linear)
    parts = scores.split(rows_in_memory(architecture.vocabulary, scores.device))
    softmaxes = [_softmax_and_entropy(part) for part in parts]
    error = torch.cat([softmax for softmax, _ in softmaxes])
    entropy = torch.cat([entropy for _, entropy in softmaxes])
    error[torch.arange(len(chosen), device=error.device), chosen.to(error.device)] -= 1
    slope = architecture.logit_slope(in_float64(scores)) if architecture.logit_softcap else architecture.logit_scale
    error *= slope / max(1, len(chosen))
    return {False: error, True: error * entropy[:, None]}


def _softmax_and_entropy(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities and entropy of a few rows of logits, in float64, with one exponential a logit."""
    precise = in_float64(scores)
    # Where exp is 0 the product with it has to be: a masked logit is -inf.
    below = (precise - precise.amax(-1, keepdim=True)).clamp_(min=_NO_PROBABILITY)
    softmax = below.exp()
    total = softmax.sum(-1)
    softmax /= total[:, None]
    return softmax, total.log() - torch.linalg.vecdot(softmax, below)


def mean_absolute(error: Tensor, read: Tensor) -> float:
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


def head_input_gradient(linear: Tensor, read: Tensor, error: Tensor) -> tuple[Tensor, float]:
    """The loss's gradient with respect to the states that the head reads, scaled, and the scale.

    Scaling first the error and then the gradient to a largest entry of 1 keeps the tiny gradients of sure answers
    within the range of 16-bit floats; what follows is linear, so multiplying its result by the scale afterwards gives
    the gradient itself.
    """
    scale = max(map(abs, torch.stack(error.aminmax()).tolist())) if len(error) else math.nan
    if not scale > 0:
        return torch.zeros_like(read), scale
    scaled = (error / scale).to(linear.device, linear.dtype)
    gradient = torch.autograd.grad(linear, read, scaled, retain_graph=True)[0]
    largest = float(gradient.abs().max())
    if not 0 < largest < math.inf:
        return gradient, scale
    precise = torch.promote_types(gradient.dtype, torch.float32)
    return (gradient.to(precise) / largest).to(gradient.dtype), scale * largest
