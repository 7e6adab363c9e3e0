"""Greedy decoding of a batch of prompts, keeping what the gradient pass reads later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from uq_harness.engine.anatomy import Anatomy, block_input
from uq_harness.engine.cache import is_plain, share
from uq_harness.engine.forward import left_pad, logits, states


@dataclass
class Decoded:
    """A batch of greedy answers.

    Attributes:
        prompt_ids: Prompts, padded on the left, ``[batch, prompt]``.
        prompt_mask: Attention mask of the prompts, ``[batch, prompt]``.
        token_ids: Answers, padded on the right, ``[batch, steps]``.
        lengths: Number of tokens of each answer, end-of-sequence token included.
        ended: Whether each answer ended by itself, not by the token limit.
        logprobs: Log-probability of each token, float64, ``[batch, steps]``.
        entropies: Entropy of each token's distribution in nats, float64, ``[batch, steps]``.
        head_states: The state that the head read to predict each token, ``[batch, steps, width]``.
        middle_states: The states entering the tapped block from prompt column ``first_column`` on,
            ``[batch, columns, width]``; empty where no block was tapped.
        first_column: The prompt column where ``middle_states`` begin.
        prompt_cache: Keys and values of the prompts; ``None`` where the model's cache cannot be shared.
    """

    prompt_ids: Tensor
    prompt_mask: Tensor
    token_ids: Tensor
    lengths: list[int]
    ended: list[bool]
    logprobs: Tensor
    entropies: Tensor
    head_states: Tensor
    middle_states: Tensor | None
    first_column: int
    prompt_cache: DynamicCache | None


def in_float64(values: Tensor) -> Tensor:
    """The values in float64, on the CPU where the device knows no float64."""
    return (values.cpu() if values.device.type == "mps" else values).double()


def log_softmax_and_entropy(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities and entropy of logits, in float64: in float32 a sure token's ``1 - p`` loses its digits."""
    logprobs = in_float64(scores).log_softmax(-1)
    return logprobs, torch.special.entr(logprobs.exp()).sum(-1)


@torch.no_grad()  # not inference_mode: the gradient pass starts from these tensors
def decode_greedily(
    anatomy: Anatomy,
    prompts: Sequence[Sequence[int]],
    *,
    end_ids: frozenset[int],
    pad_id: int,
    max_new_tokens: int,
    stops: Callable[[list[int]], bool] | None = None,
    tap: int | None = None,
    tap_from: int = -1,
) -> Decoded:
    """Decodes every prompt until its end token, a stop string or the limit.

    Args:
        anatomy: The model.
        prompts: Token ids of the prompts.
        end_ids: Tokens that end an answer.
        pad_id: Token that fills the padding.
        max_new_tokens: Limit on the answer's tokens.
        stops: Says whether an answer so far contains a stop string.
        tap: Number of the block whose inputs are kept, or ``None``.
        tap_from: First prompt column kept of the tapped block, counted from the prompt's end.
    """
    ids, mask = left_pad(prompts, pad_id, anatomy.input_device)
    column = ids.shape[1] + tap_from
    kept: list[Tensor] = []
    if tap is None:
        return _decode(anatomy, ids, mask, end_ids, max_new_tokens, stops, kept, column)

    def keep(state: Tensor) -> Tensor:
        kept.append(state if kept else state[:, column:])
        return state

    with block_input(anatomy.blocks[tap], keep):
        return _decode(anatomy, ids, mask, end_ids, max_new_tokens, stops, kept, column)


def _decode(
    anatomy: Anatomy,
    prompt_ids: Tensor,
    prompt_mask: Tensor,
    end_ids: frozenset[int],
    max_new_tokens: int,
    stops: Callable[[list[int]], bool] | None,
    kept: list[Tensor],
    first_column: int,
) -> Decoded:
    head_states: list[Tensor] = []
    tokens: list[Tensor] = []
    logprobs: list[Tensor] = []
    entropies: list[Tensor] = []
    live, lengths = [True] * len(prompt_ids), [0] * len(prompt_ids)
    mask, state, cache, prompt_cache = prompt_mask, None, None, None
    for step in range(max_new_tokens):
        if step == 0:
            hidden, cache = states(anatomy, prompt_ids, mask)
            prompt_cache = share(cache) if is_plain(cache) else None
        else:
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], -1)
            if prompt_cache is None:  # a recurrent state cannot be shared; feed the whole sequence again
                kept.clear()
                hidden, _ = states(anatomy, torch.cat([prompt_ids, *tokens], -1), mask, use_cache=False)
            else:
                hidden, cache = states(anatomy, tokens[-1], mask, cache)
        state = hidden[:, -1]
        scores = logits(anatomy, state)
        token = scores.argmax(-1)
        logprob_of_all, entropy = log_softmax_and_entropy(scores)
        logprob = logprob_of_all.gather(-1, token[:, None].to(logprob_of_all.device))[:, 0]
        head_states.append(state)
        tokens.append(token[:, None].to(prompt_ids.device))
        logprobs.append(logprob)
        entropies.append(entropy)
        for row, (token_id, value) in enumerate(zip(token.tolist(), logprob.tolist(), strict=True)):
            if live[row]:
                lengths[row] += 1
                # a distribution of NaNs has no next token: end there instead of filling up to the limit
                live[row] = token_id not in end_ids and value == value
        if stops is not None:
            written = torch.cat(tokens, -1).tolist()
            live = [alive and not stops(written[row]) for row, alive in enumerate(live)]
        if not any(live):
            break
    return Decoded(
        prompt_ids=prompt_ids,
        prompt_mask=prompt_mask,
        token_ids=torch.cat(tokens, -1),
        lengths=lengths,
        ended=[not alive for alive in live],
        logprobs=torch.stack(logprobs, 1),
        entropies=torch.stack(entropies, 1),
        head_states=torch.stack(head_states, 1),
        middle_states=torch.cat(kept, 1) if kept else None,
        first_column=first_column,
        prompt_cache=prompt_cache,
    )
