"""How every growing answer gets its next token, its log-probability and its distribution's entropy."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from uq_harness.engine.beams import Beams
from uq_harness.engine.draw import Draws, sample_keys
from uq_harness.engine.forward import in_float64
from uq_harness.engine.lanes import IntArray, Lanes, take
from uq_harness.evidence import DiverseBeams, FloatArray, Samples
from uq_harness.evidence import SampleSet as Sampler

# Logits that are in memory in float64 at a time; on a CPU few, so that they stay in its cache.
ENTRIES = 2**16
ENTRIES_ON_GPU = 2**24
LOWEST = torch.finfo(torch.float64).min


def answers(sampler: Sampler) -> int:
    """Number of answers that a sampler gives to a prompt."""
    return sampler.groups if isinstance(sampler, DiverseBeams) else sampler.count


def lay_out(samplers: Sequence[Sampler], prompts: int) -> list[IntArray]:
    """For every sampler the numbers of its lanes, ``[prompts, answers]``; the greedy answers' lanes come first."""
    starts = np.cumsum([prompts, *(prompts * answers(sampler) for sampler in samplers)])
    return [
        np.arange(start, start + prompts * answers(sampler)).reshape(prompts, answers(sampler))
        for start, sampler in zip(starts[:-1], samplers, strict=True)
    ]


def choosers(
    samplers: Sequence[Sampler],
    places: Sequence[IntArray],
    keys: Sequence[Hashable],
    seed: int,
    end_ids: Iterable[int],
    pad_id: int,
) -> list[Draws | Beams]:
    """What chooses the tokens of the samplers' lanes; samplers that differ in temperature alone draw together."""
    together: dict[tuple[int, float], list[tuple[IntArray, Samples]]] = {}
    found: list[Draws | Beams] = []
    for sampler, lanes in zip(samplers, places, strict=True):
        if isinstance(sampler, DiverseBeams):
            found.append(Beams(lanes.ravel(), sampler, end_ids, pad_id))
        else:
            together.setdefault((sampler.top_k, sampler.top_p), []).append((lanes, sampler))
    for (top_k, top_p), members in together.items():
        noise = [sample_keys(seed, key, sampler) for _, sampler in members for key in keys]
        temperature = [np.full(lanes.size, sampler.temperature, dtype=np.float64) for lanes, sampler in members]
        lanes = np.concatenate([lanes.ravel() for lanes, _ in members])
        found.append(Draws(lanes, torch.cat(noise), np.concatenate(temperature), top_k, top_p))
    return found


def choose(
    scores: Tensor, lanes: Lanes, greedy: IntArray, others: Sequence[Draws | Beams], step: int
) -> tuple[IntArray, FloatArray, FloatArray]:
    """The next token of every live lane, its log-probability, and its distribution's entropy.

    Args:
        scores: Logits, ``[rows, vocabulary]``.
        lanes: All lanes.
        greedy: Numbers of the lanes that take the likeliest token.
        others: What chooses for the other lanes.
        step: Number of tokens that the live lanes have already.
    """
    device = scores.device
    likeliest = scores.argmax(-1)
    tokens = torch.empty(len(lanes.row), dtype=torch.long, device=device)
    growing = greedy[lanes.live[greedy]]
    tokens[torch.as_tensor(growing, device=device)] = take(likeliest, lanes.row[growing])
    for chooser in others:
        live = lanes.live[chooser.lanes]
        if live.any():
            at = torch.as_tensor(chooser.lanes[live], device=device)
            tokens[at] = chooser(scores, lanes.row[chooser.lanes], live, step)
    growing = np.flatnonzero(lanes.live)
    chosen = take(tokens, growing)
    rows = torch.as_tensor(lanes.row[growing], device=device)
    # one way to the host for all three; float64 holds token ids exactly
    packed = torch.stack([in_float64(chosen), *logprobs_and_entropies(scores, likeliest, rows, chosen)]).cpu().numpy()
    return packed[0].astype(np.int64), packed[1], packed[2]


def logprobs_and_entropies(scores: Tensor, likeliest: Tensor, rows: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability of a token of each of the given rows, and the rows' entropies in nats, in float64.

    The numbers of `log_softmax_and_entropy` with one exponential a logit and a bounded part of them in memory.

    Args:
        scores: Logits, ``[all rows, vocabulary]``.
        likeliest: The likeliest token of all rows.
        rows: Rows, which may repeat.
        tokens: A token for each.
    """
    highest = in_float64(scores.gather(-1, likeliest[:, None]))
    partitions, entropies = [], []
    size = max(1, (ENTRIES if scores.device.type == "cpu" else ENTRIES_ON_GPU) // scores.shape[-1])
    for part, top in zip(scores.split(size), highest.split(size), strict=True):
        shifted = in_float64(part) - top  # keeps the digits of a sure token's 1 - p
        weights = shifted.exp()
        total = weights.sum(-1)
        partitions.append(total.log())
        # the clamp: a logit of minus infinity has no share in the entropy
        entropies.append(partitions[-1] - torch.linalg.vecdot(weights, shifted.clamp_(min=LOWEST)) / total)
    chosen = in_float64(scores[rows, tokens])
    rows = rows.to(chosen.device)
    return chosen - highest[rows, 0] - torch.cat(partitions)[rows], torch.cat(entropies)[rows]
