"""Teacher-forced log-probabilities of given texts after given prompts; texts of one prompt share its prefill."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from uq_harness.engine.anatomy import Anatomy
from uq_harness.engine.cache import select
from uq_harness.engine.forward import logits, right_pad, states
from uq_harness.engine.prefill import Prefill
from uq_harness.evidence import FloatArray

ROWS = 256  # continuations that go through the model at a time


@torch.no_grad()
def rescore(
    anatomy: Anatomy,
    prefill: Prefill,
    rows: Sequence[int],
    continuations: Sequence[Sequence[int]],
    *,
    pad_id: int,
    temperature: float = 1.0,
) -> list[FloatArray]:
    """Log-probability of every token of each continuation, in nats.

    Args:
        anatomy: The model.
        prefill: The prompts.
        rows: For each continuation the number of the prompt it follows.
        continuations: Token ids; an empty one gets an empty array.
        pad_id: Token that fills the padding.
        temperature: Divides the logits before the softmax.
    """
    found: list[FloatArray] = [np.empty(0)] * len(continuations)
    longest_first = sorted((i for i, c in enumerate(continuations) if c), key=lambda i: -len(continuations[i]))
    for start in range(0, len(longest_first), ROWS):
        part = longest_first[start : start + ROWS]
        tokens = [continuations[i] for i in part]
        read = _read(anatomy, prefill, [rows[i] for i in part], tokens, pad_id)
        for place, i in enumerate(part):
            scores = logits(anatomy, read[place, : len(tokens[place])]).double() / temperature
            chosen = torch.tensor(tokens[place], device=scores.device)[:, None]
            found[i] = scores.log_softmax(-1).gather(-1, chosen)[:, 0].cpu().numpy()
    return found


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
