"""Decoding a batch of prompts: the greedy answers and all samples in one pass over a tree of prefixes.

A model's next-token distribution depends on the prefix alone. So each step runs the model once for every distinct live
prefix (a row); every answer that grows (a lane) chooses its own next token from the logits of the row it stands on.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from uq_harness.engine.anatomy import Anatomy, block_input
from uq_harness.engine.beams import Beams
from uq_harness.engine.cache import share
from uq_harness.engine.draw import Draws
from uq_harness.engine.forward import left_pad, logits
from uq_harness.engine.lanes import IntArray, Lanes, follow, take
from uq_harness.engine.rows import grow, read_prompts
from uq_harness.engine.samplers import choose, choosers, lay_out
from uq_harness.evidence import FloatArray
from uq_harness.evidence import SampleSet as Sampler


@dataclass(frozen=True)
class SampledAnswer:
    """An answer that a sampler drew.

    Attributes:
        token_ids: Its tokens, the end-of-sequence token included when it was drawn.
        logprobs: Log-probability of each token under the model itself (temperature 1, nothing cut off), float64.
        entropies: Entropy in nats of the model's distribution for each token, float64.
        state: Input of the middle block at the last token that was fed back to the model, or at the prompt's last
            token where none was, ``[width]``, on the CPU.
        ended: Whether the answer ended by itself, not by the token limit.
    """

    token_ids: tuple[int, ...]
    logprobs: FloatArray
    entropies: FloatArray
    state: Tensor
    ended: bool


@dataclass
class Decoded:
    """A batch of greedy answers, and the samples.

    Attributes:
        prompt_ids: Prompts, padded on the left, ``[batch, prompt]``.
        prompt_mask: Attention mask of the prompts, ``[batch, prompt]``.
        token_ids: Answers, padded on the right, ``[batch, steps]``.
        lengths: Number of tokens of each answer, end-of-sequence token included.
        ended: Whether each answer ended by itself, not by the token limit.
        logprobs: Log-probability of each token, float64, ``[batch, steps]``.
        entropies: Entropy of each token's distribution in nats, float64, ``[batch, steps]``.
        head_states: The state that the head read to predict each token, ``[batch, steps, width]``; behind an answer's
            end its last one is repeated.
        middle_states: The states entering the tapped block from prompt column ``first_column`` on,
            ``[batch, columns, width]``; empty where no block was tapped.
        first_column: The prompt column where ``middle_states`` begin.
        prompt_cache: Keys and values of the prompts; ``None`` where the model's cache cannot be shared.
        samples: For each prompt the answers of every sampler; those of a beam search best first.
        row_steps: Number of rows that went through the model, prompts and all steps together.
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
    samples: list[dict[Sampler, list[SampledAnswer]]]
    row_steps: int


@torch.no_grad()  # not inference_mode: the gradient pass starts from these tensors
def decode(
    anatomy: Anatomy,
    prompts: Sequence[Sequence[int]],
    *,
    samplers: Sequence[Sampler] = (),
    end_ids: frozenset[int],
    pad_id: int,
    max_new_tokens: int,
    stops: Callable[[list[int]], bool] | None = None,
    tap: int | None = None,
    tap_from: int = -1,
    seed: int = 0,
    keys: Sequence[Hashable] | None = None,
) -> Decoded:
    """Decodes the greedy answer and all samples of every prompt until their end tokens, stop strings or the limit.

    A prompt's samples depend on its tokens, its key, the sampler and the seed, not on what shares the batch (up to
    what the batch's shape does to the logits' last digits), and the first ones not on how many there are.

    Args:
        anatomy: The model.
        prompts: Token ids of the prompts.
        samplers: What is drawn beside the greedy answers.
        end_ids: Tokens that end an answer.
        pad_id: Token that fills the padding.
        max_new_tokens: Limit on an answer's tokens.
        stops: Says whether an answer so far contains a stop string.
        tap: Number of the block whose inputs are kept for the greedy answers, or ``None``.
        tap_from: First prompt column kept of the tapped block, counted from the prompt's end.
        seed: Seed of all samples.
        keys: What tells the prompts' samples apart, with the same ``repr`` in every process; the prompts' tokens where
            absent, so that equal prompts get equal samples.
    """
    samplers = tuple(dict.fromkeys(samplers))
    keys = [tuple(map(int, prompt)) for prompt in prompts] if keys is None else keys
    greedy, places = np.arange(len(prompts)), lay_out(samplers, len(prompts))
    others = choosers(samplers, places, keys, seed, end_ids, pad_id)
    prompt_of = np.concatenate([greedy, *(np.repeat(greedy, place.shape[1]) for place in places)])
    lanes = Lanes.on(prompt_of, max_new_tokens)
    ids, mask = left_pad(prompts, pad_id, anatomy.input_device)
    column, middle = ids.shape[1] + tap_from, anatomy.n_blocks // 2 if samplers else None
    head_states: list[Tensor] = []
    tapped: list[Tensor] = []
    finals: list[tuple[IntArray, Tensor]] = []
    with _watching(anatomy, tap, middle) as seen:
        rows = read_prompts(anatomy, ids, mask)
        prompt_cache, row_steps = share(rows.cache) if rows.cache is not None else None, len(rows)
        prompt_states = None if tap is None else seen[tap][:, column:-1]
        for step in range(max_new_tokens):
            follow(head_states, rows.head_states, lanes, greedy)
            if tap is not None:
                follow(tapped, seen[tap][:, -1], lanes, greedy)
            lanes.write(step, *choose(logits(anatomy, rows.head_states), lanes, greedy, others, step))
            ended = lanes.end(step, end_ids, stops)
            over = step + 1 == max_new_tokens or not lanes.live.any()
            if middle is not None:
                done = np.flatnonzero(ended | lanes.live if over else ended)
                finals.append((done, take(seen[middle][:, -1], lanes.row[done])))
            if over:
                break
            rows = grow(anatomy, rows, *lanes.move(step))
            row_steps += len(rows)
    steps = len(head_states)
    return Decoded(
        prompt_ids=ids,
        prompt_mask=mask,
        token_ids=torch.as_tensor(lanes.tokens[greedy, :steps], device=ids.device),
        lengths=lanes.lengths[greedy].tolist(),
        ended=(~lanes.live[greedy]).tolist(),
        logprobs=torch.as_tensor(lanes.logprobs[greedy, :steps]),
        entropies=torch.as_tensor(lanes.entropies[greedy, :steps]),
        head_states=torch.stack(head_states, 1),
        middle_states=None if prompt_states is None else torch.cat([prompt_states, torch.stack(tapped, 1)], 1),
        first_column=column,
        prompt_cache=prompt_cache,
        samples=_samples(samplers, places, others, lanes, finals, len(prompts)),
        row_steps=row_steps,
    )


@contextmanager
def _watching(anatomy: Anatomy, *blocks: int | None) -> Iterator[dict[int, Tensor]]:
    """Keeps what entered the given blocks in the last forward pass, ``[rows, new, width]``."""
    seen: dict[int, Tensor] = {}

    def keep(block: int, state: Tensor) -> Tensor:
        seen[block] = state
        return state

    with ExitStack() as stack:
        for block in {block for block in blocks if block is not None}:
            stack.enter_context(block_input(anatomy.blocks[block], partial(keep, block)))
        yield seen


def _samples(
    samplers: Sequence[Sampler],
    places: Sequence[IntArray],
    others: Sequence[Draws | Beams],
    lanes: Lanes,
    finals: Sequence[tuple[IntArray, Tensor]],
    prompts: int,
) -> list[dict[Sampler, list[SampledAnswer]]]:
    """The samplers' lanes as answers."""
    samples: list[dict[Sampler, list[SampledAnswer]]] = [{} for _ in range(prompts)]
    if not samplers:
        return samples
    states = torch.cat([state for _, state in finals]).cpu()
    where = np.argsort(np.concatenate([done for done, _ in finals]))
    for sampler, place in zip(samplers, places, strict=True):
        for prompt, numbers in enumerate(place):
            samples[prompt][sampler] = [
                SampledAnswer(*lanes.answer(lane), states[where[lane]], not lanes.live[lane]) for lane in numbers
            ]
    for beams in others:
        if isinstance(beams, Beams):
            for prompt, answers in enumerate(samples):
                order = beams.order(prompt, [len(answer.token_ids) for answer in answers[beams.sampler]])
                answers[beams.sampler] = [answers[beams.sampler][group] for group in order]
    return samples
