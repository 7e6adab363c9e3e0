"""Gradients the plain way: one example at a time, full sequence, autograd to every state and to the head's matrix.

Several times slower than `uq_harness.engine.gradients` and short enough to be believed. It serves models whose cache
cannot be shared, checks the fast pass when a model is loaded, and is what benchmarks compare with.
"""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor

from uq_harness.engine.anatomy import Anatomy, block_input, frozen
from uq_harness.engine.decode import Decoded, log_softmax_and_entropy
from uq_harness.engine.forward import logits, positions
from uq_harness.engine.gradients import Gradients, Request
from uq_harness.evidence import StateGradientNorms


def reference_gradients(
    anatomy: Anatomy, decoded: Decoded, scored: list[range], columns: list[int], request: Request
) -> list[Gradients]:
    """The same numbers as `uq_harness.engine.gradients.gradients`, from the definition."""
    return [_one(anatomy, decoded, row, scored[row], columns[row], request) for row in range(len(decoded.lengths))]


def _one(anatomy: Anatomy, decoded: Decoded, row: int, tokens: range, column: int, request: Request) -> Gradients:
    prompt = decoded.prompt_ids[row][decoded.prompt_mask[row].bool()]
    padding = decoded.prompt_ids.shape[1] - len(prompt)
    ids = torch.cat([prompt, decoded.token_ids[row, : tokens.stop]])[None]
    entered: list[Tensor] = []

    def watch(state: Tensor) -> Tensor:
        entered.append(state if entered else state.detach().requires_grad_(True))  # the graph begins here
        return entered[-1]

    weight = anatomy.head.weight
    with frozen(anatomy.model), torch.enable_grad(), ExitStack() as stack:
        for block in anatomy.blocks[request.first_block :]:
            stack.enter_context(block_input(block, watch))
        arguments = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "position_ids": positions(torch.ones_like(ids)),
            "use_cache": False,
        }
        read = anatomy.decoder(**{k: v for k, v in arguments.items() if anatomy.accepts(k)})[0]
        weight.requires_grad_(True)  # after the embedding: a tied matrix counts as the head only
        predicting = slice(len(prompt) - 1 + tokens.start, len(prompt) - 1 + tokens.stop)
        scores = logits(anatomy, read[:, predicting])[0]
        losses = _losses(scores, ids[0, len(prompt) + tokens.start :])
        head = {w: _head(losses[w], weight) for w in request.head}
        norms = {w: _states(losses[w], entered, column - padding) for w in request.states}
        weight.requires_grad_(False)
    return Gradients(head, norms)


def _losses(scores: Tensor, chosen: Tensor) -> dict[bool, Tensor]:
    """Mean negative log-likelihood of the tokens, plain and weighted by their entropies."""
    logprobs, entropy = log_softmax_and_entropy(scores)
    taken = logprobs.gather(-1, chosen[:, None].to(logprobs.device))[:, 0]
    return {False: -taken.mean(), True: -(entropy.detach() * taken).mean()}


def _head(loss: Tensor, weight: Tensor) -> float:
    (gradient,) = torch.autograd.grad(loss, weight, retain_graph=True)
    return float(gradient.double().abs().mean())


def _states(loss: Tensor, entered: list[Tensor], position: int) -> StateGradientNorms:
    gradients = torch.autograd.grad(loss, entered, retain_graph=True)
    chosen = torch.stack([g[0, position].double().cpu() for g in gradients])
    return StateGradientNorms(
        absolute=chosen.abs().mean(-1).numpy().astype(np.float64),
        squared=chosen.square().mean(-1).numpy().astype(np.float64),
    )
