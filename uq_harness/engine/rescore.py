"""Teacher-forced log-probabilities of given texts after given prompts; texts of one prompt share its prefill."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from uq_harness.engine.anatomy import Anatomy
from uq_harness.engine.cache import select
from uq_harness.engine.forward import in_float64, logits, right_pad, states
from uq_harness.engine.prefill import Prefill
from uq_harness.functional import FloatArray
from uq_harness.memory import Room, in_shrinking_batches

ROWS = 256  # continuations that go through the model at a time
# Logits in memory at a time; on a CPU few, so that they stay in its cache.
ENTRIES = 2**18
ENTRIES_ON_GPU = 2**26


@torch.no_grad()
def rescore(
    anatomy: Anatomy,
    prefill: Prefill,
    rows: Sequence[int],
    continuations: Sequence[Sequence[int]],
    *,
    pad_id: int,
    temperature: float = 1.0,
    room: Room | None = None,
) -> list[FloatArray]:
    """Log-probability of every token of each continuation, in nats.

    Args:
        anatomy: The model.
        prefill: The prompts.
        rows: For each continuation the number of the prompt it follows.
        continuations: Token ids; an empty one gets an empty array.
        pad_id: Token that fills the padding.
        temperature: Divides the logits before the softmax.
        room: How many continuations go through the model at a time; one that memory does not hold alone gets ``nan``.
    """

    def score(part: Sequence[int]) -> list[FloatArray]:
        tokens = [continuations[i] for i in part]
        read = _read(anatomy, prefill, [rows[i] for i in part], tokens, pad_id)
        lengths = [len(one) for one in tokens]
        counted = torch.arange(read.shape[1]) < torch.tensor(lengths)[:, None]
        chosen = torch.tensor([token for one in tokens for token in one])
        scores = _logprobs(anatomy, read[counted.to(read.device)], chosen, temperature)
        return np.split(scores, np.cumsum(lengths[:-1]))

    def undefined(i: int) -> list[FloatArray]:
        return [np.full(len(continuations[i]), np.nan)]

    found: list[FloatArray] = [np.empty(0)] * len(continuations)
    longest_first = sorted((i for i, c in enumerate(continuations) if c), key=lambda i: -len(continuations[i]))
    for part, scores in in_shrinking_batches(score, longest_first, room or Room(ROWS), undefined):
        for i, one in zip(part, scores, strict=True):
            found[i] = one
    return found


def _logprobs(anatomy: Anatomy, read: Tensor, chosen: Tensor, temperature: float) -> FloatArray:
    """Log-probability of one token for each state, ``[states]``, with a bounded part of the logits in memory."""
    found = []
    entries = ENTRIES if read.device.type == "cpu" else ENTRIES_ON_GPU
    size = max(1, entries // anatomy.vocabulary)
    for states_, tokens in zip(read.split(size), chosen.split(size), strict=True):
        scores = in_float64(logits(anatomy, states_)) / temperature
        taken = scores.gather(-1, tokens[:, None].to(scores.device))[:, 0]
        found.append((taken - scores.logsumexp(-1)).cpu())
    return torch.cat(found).numpy()


def _read(anatomy: Anatomy, prefill: Prefill, rows: list[int], tokens: list[Sequence[int]], pad_id: int) -> Tensor:
    """The states that predict each token, ``[continuations, longest, width]``."""
    device = prefill.ids.device
    at = torch.tensor(rows, device=device)
    first = prefill.last_state[at.to(prefill.last_state.device)][:, None]
    fed = [row[:-1] for row in tokens]  # the last token predicts nothing that is asked for
    if not any(fed):
        return first
    ids, new_mask = right_pad(fed, pad_id, device)
    mask = torch.cat([prefill.mask[at], new_mask], 1)
    if prefill.cache is None:
        hidden, _ = states(anatomy, torch.cat([prefill.ids[at], ids], 1), mask, use_cache=False)
        return hidden[:, prefill.ids.shape[1] - 1 :]
    hidden, _ = states(anatomy, ids, mask, select(prefill.cache, at))
    return torch.cat([first, hidden], 1)
