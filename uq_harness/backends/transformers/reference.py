"""Gradients the plain way: one example at a time, full sequence, autograd to every state.

Several times slower than `uq_harness.backends.transformers.gradients` and short enough to be believed. It serves models
whose cache cannot be shared, checks the fast pass when a model is loaded, and is what benchmarks compare with.
"""

from __future__ import annotations

import math
from contextlib import ExitStack

import torch
from torch import Tensor

from uq_harness.backends.transformers.architecture import Architecture, block_input, leaf_of
from uq_harness.backends.transformers.decoded import Decoded
from uq_harness.backends.transformers.forward import in_float64, log_softmax_and_entropy, logits, states
from uq_harness.backends.transformers.gradients import Gradients
from uq_harness.backends.transformers.head import Request
from uq_harness.backends.transformers.in_range import in_range, known
from uq_harness.backends.transformers.parts import PartsWatch
from uq_harness.backends.transformers.sequences import IntArray
from uq_harness.evidence import StateGradientNorms
from uq_harness.functional import FloatArray


def reference_gradients(
    architecture: Architecture, decoded: Decoded, scored: list[range], columns: IntArray, request: Request
) -> list[Gradients]:
    """The same numbers as `uq_harness.backends.transformers.gradients.gradients`, from the definition."""
    return [_one(architecture, decoded, row, scored[row], columns[row], request) for row in range(len(decoded.lengths))]


@torch.no_grad()
def full_logprobs(architecture: Architecture, prompt: list[int], answer: Tensor) -> Tensor:
    """Log-probability of each token of an answer, float64, from one pass over the whole sequence without a cache."""
    ids = torch.cat([torch.tensor(prompt, device=answer.device), answer])[None]
    logprobs, _ = log_softmax_and_entropy(
        logits(architecture, _full_states(architecture, ids)[0, len(prompt) - 1 : -1])
    )
    return logprobs.gather(-1, answer[:, None].to(logprobs.device))[:, 0]


def _full_states(architecture: Architecture, ids: Tensor) -> Tensor:
    """The states that the head reads over a whole sequence, ``[1, tokens, width]``."""
    return states(architecture, ids, torch.ones_like(ids), use_cache=False)[0]


def _one(
    architecture: Architecture, decoded: Decoded, row: int, tokens: range, columns: IntArray, request: Request
) -> Gradients:
    prompt = decoded.prompt_ids[row][decoded.prompt_mask[row].bool()]
    padding = decoded.prompt_ids.shape[1] - len(prompt)
    ids = torch.cat([prompt, decoded.token_ids[row, : tokens.stop]])[None]
    entered: list[Tensor] = []
    time = PartsWatch()

    def watch(state: Tensor) -> Tensor:
        entered.append(state if entered else leaf_of(state))  # the graph begins here
        return entered[-1]

    with torch.no_grad(), ExitStack() as stack:
        for block in architecture.blocks[request.first_block :]:
            stack.enter_context(block_input(block, watch))
        states_read = _full_states(architecture, ids)
    with torch.enable_grad():
        read = states_read[0, len(prompt) - 1 + tokens.start : len(prompt) - 1 + tokens.stop]
        linear = architecture.head(read)
        scores = in_float64(architecture.logits_of(linear))
        losses = _losses(scores, ids[0, len(prompt) + tokens.start :])
        errors = {w: torch.autograd.grad(losses[w], scores, retain_graph=True)[0] for w in losses}
        head = {w: _head(scores, errors[w], linear, read) for w in request.head}
        at = torch.as_tensor(columns - padding)
        norms = {w: _states(scores, errors[w], entered, at) for w in request.states}
    time.took("loss", None)  # one graph serves them all
    return Gradients(head, norms, seconds=time.seconds)


def _losses(scores: Tensor, chosen: Tensor) -> dict[bool, Tensor]:
    """Mean negative log-likelihood of the tokens, plain and weighted by their entropies."""
    logprobs, entropy = log_softmax_and_entropy(scores)
    taken = logprobs.gather(-1, chosen[:, None].to(logprobs.device))[:, 0]
    return {False: -taken.mean(), True: -(entropy.detach() * taken).mean()}


def _head(scores: Tensor, error: Tensor, linear: Tensor, read: Tensor) -> float:
    """Mean absolute value over the whole matrix; its gradient is what flows into the head times what it read."""
    error, scale = _largest_one(error)
    (flow,) = torch.autograd.grad(scores, linear, error, retain_graph=True)
    precise = torch.promote_types(read.dtype, torch.float32)
    gradient = flow.to(precise).T @ read.detach().to(flow.device, precise)
    return float(in_float64(gradient).abs().mean()) * scale


def _states(scores: Tensor, error: Tensor, entered: list[Tensor], positions: Tensor) -> StateGradientNorms:
    error, scale = _largest_one(error)

    def backward(factor: float) -> FloatArray:
        gradients = torch.autograd.grad(scores, entered, error * factor, retain_graph=True)
        chosen = torch.stack([in_float64(g[0, positions]).cpu() for g in gradients])
        return torch.stack([chosen.abs().mean(-1), chosen.square().mean(-1)]).numpy()[:, None]

    absolute, squared = in_range(backward)[:, 0]
    if scale > 0:  # else the loss is constant, and so has no gradient
        absolute, squared = known(absolute), known(squared)
    return StateGradientNorms(absolute * scale, squared * scale**2)


def _largest_one(error: Tensor) -> tuple[Tensor, float]:
    """The error divided by its largest entry, so that a 16-bit float can hold it, and that entry."""
    scale = float(error.abs().max()) if len(error) else math.nan
    return (error / scale if scale > 0 else error), scale
