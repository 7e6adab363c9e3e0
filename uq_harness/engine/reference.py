"""Gradients the plain way: one example at a time, full sequence, autograd to every state.

Several times slower than `uq_harness.engine.gradients` and short enough to be believed. It serves models whose cache
cannot be shared, checks the fast pass when a model is loaded, and is what benchmarks compare with.
"""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor

from uq_harness.engine.anatomy import Anatomy, block_input, frozen
from uq_harness.engine.decoded import Decoded
from uq_harness.engine.forward import in_float64, log_softmax_and_entropy, logits, states
from uq_harness.engine.gradients import Gradients
from uq_harness.engine.head import Request
from uq_harness.engine.lanes import IntArray
from uq_harness.evidence import StateGradientNorms


def reference_gradients(
    anatomy: Anatomy, decoded: Decoded, scored: list[range], columns: IntArray, request: Request
) -> list[Gradients]:
    """The same numbers as `uq_harness.engine.gradients.gradients`, from the definition."""
    return [_one(anatomy, decoded, row, scored[row], columns[row], request) for row in range(len(decoded.lengths))]


@torch.no_grad()
def full_logprobs(anatomy: Anatomy, prompt: list[int], answer: Tensor) -> Tensor:
    """Log-probability of each token of an answer, float64, from one pass over the whole sequence without a cache."""
    ids = torch.cat([torch.tensor(prompt, device=answer.device), answer])[None]
    logprobs, _ = log_softmax_and_entropy(logits(anatomy, _full_states(anatomy, ids)[0, len(prompt) - 1 : -1]))
    return logprobs.gather(-1, answer[:, None].to(logprobs.device))[:, 0]


def _full_states(anatomy: Anatomy, ids: Tensor) -> Tensor:
    """The states that the head reads over a whole sequence, ``[1, tokens, width]``."""
    return states(anatomy, ids, torch.ones_like(ids), use_cache=False)[0]


def _one(anatomy: Anatomy, decoded: Decoded, row: int, tokens: range, columns: IntArray, request: Request) -> Gradients:
    prompt = decoded.prompt_ids[row][decoded.prompt_mask[row].bool()]
    padding = decoded.prompt_ids.shape[1] - len(prompt)
    ids = torch.cat([prompt, decoded.token_ids[row, : tokens.stop]])[None]
    entered: list[Tensor] = []

    def watch(state: Tensor) -> Tensor:
        entered.append(state if entered else state.detach().requires_grad_(True))  # the graph begins here
        return entered[-1]

    with frozen(anatomy.model), torch.enable_grad(), ExitStack() as stack:
        for block in anatomy.blocks[request.first_block :]:
            stack.enter_context(block_input(block, watch))
        read = _full_states(anatomy, ids)[0, len(prompt) - 1 + tokens.start : len(prompt) - 1 + tokens.stop]
        linear = anatomy.head(read)
        losses = _losses(anatomy.bend(linear), ids[0, len(prompt) + tokens.start :])
        head = {w: _head(losses[w], linear, read) for w in request.head}
        norms = {w: _states(losses[w], entered, torch.as_tensor(columns - padding)) for w in request.states}
    return Gradients(head, norms)


def _losses(scores: Tensor, chosen: Tensor) -> dict[bool, Tensor]:
    """Mean negative log-likelihood of the tokens, plain and weighted by their entropies."""
    logprobs, entropy = log_softmax_and_entropy(scores)
    taken = logprobs.gather(-1, chosen[:, None].to(logprobs.device))[:, 0]
    return {False: -taken.mean(), True: -(entropy.detach() * taken).mean()}


def _head(loss: Tensor, linear: Tensor, read: Tensor) -> float:
    """Mean absolute value over the whole matrix; its gradient is what flows into the head times what it read."""
    (flow,) = torch.autograd.grad(loss, linear, retain_graph=True)
    precise = torch.promote_types(read.dtype, torch.float32)
    gradient = flow.to(precise).T @ read.detach().to(flow.device, precise)
    return float(in_float64(gradient).abs().mean())


def _states(loss: Tensor, entered: list[Tensor], positions: Tensor) -> StateGradientNorms:
    gradients = torch.autograd.grad(loss, entered, retain_graph=True)
    chosen = torch.stack([in_float64(g[0, positions]).cpu() for g in gradients])
    return StateGradientNorms(
        absolute=chosen.abs().mean(-1).numpy().astype(np.float64),
        squared=chosen.square().mean(-1).numpy().astype(np.float64),
    )
