"""Short greedy replies to conversations that begin as prompts do whose keys and values are there."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.cache import beginnings
from uq_harness.backends.transformers.forward import Prefill, left_pad, logits, rows_in_memory, states
from uq_harness.backends.transformers.prefixes import begin
from uq_harness.batching import Room, in_shrinking_batches

Reply = tuple[int, ...] | None


@torch.no_grad()
def replies(
    architecture: Architecture,
    prefill: Prefill,
    prompts: Sequence[Sequence[int]],
    conversations: Sequence[Sequence[int] | None],
    *,
    end_ids: Collection[int],
    max_tokens: int,
    pad_id: int,
    room: Room,
) -> list[Reply]:
    """The tokens of the greedy reply to each conversation, the end token included where it was chosen.

    ``None`` for no conversation, where memory does not hold one, and where the model gives NaNs.

    Args:
        architecture: The model.
        prefill: The prompts.
        prompts: Their tokens.
        conversations: For each prompt the tokens that are replied to.
        end_ids: Tokens that end a reply.
        max_tokens: Limit on a reply's tokens.
        pad_id: Token that fills the padding.
        room: How many conversations go through the model at a time.
    """
    new = {
        row: len(ids) - (0 if prefill.cache is None else _shared(prompts[row], ids))
        for row, ids in enumerate(conversations)
        if ids is not None
    }

    def work(part: Sequence[int]) -> list[Reply]:
        given = [ids for row in part if (ids := conversations[row]) is not None]
        lengths = [len(prompts[row]) for row in part]
        read = _read(architecture, prefill, part, lengths, given, max(new[row] for row in part), pad_id)
        return _written(architecture, read, end_ids, max_tokens)

    def too_large(row: int) -> list[Reply]:
        return [None]

    found: list[Reply] = [None] * len(conversations)
    longest_first = sorted(new, key=lambda row: (-new[row], -len(prompts[row])))
    for part, some in in_shrinking_batches(work, longest_first, room, too_large):
        for row, reply in zip(part, some, strict=True):
            found[row] = reply
    return found


def _shared(prompt: Sequence[int], conversation: Sequence[int]) -> int:
    """Number of tokens that both begin with; the conversation's last one has to be read anyway."""
    limit = min(len(prompt), len(conversation) - 1)
    return next((i for i in range(limit) if prompt[i] != conversation[i]), limit)


def _read(
    architecture: Architecture,
    prefill: Prefill,
    rows: Sequence[int],
    lengths: Sequence[int],
    conversations: Sequence[Sequence[int]],
    new: int,
    pad_id: int,
) -> Prefill:
    """Conversations that the model has read, only the last ``new`` tokens of each if the others are in the cache.

    All that is before is the beginning of the prompt, so that no padding comes between.
    """
    kept = [max(0, len(ids) - new) for ids in conversations]
    cache = None
    if prefill.cache is not None and any(kept):
        cache = beginnings(prefill.cache, rows, lengths, kept)
    if cache is None:
        return Prefill.read(architecture, conversations, pad_id)
    ids, mask = left_pad(conversations, pad_id, architecture.input_device)
    hidden, cache = states(architecture, ids[:, -new:], mask, cache)
    return Prefill(ids, mask, hidden[:, -1].clone(), cache, {})


def _written(architecture: Architecture, prefill: Prefill, end_ids: Collection[int], max_tokens: int) -> list[Reply]:
    prefixes = begin(architecture, prefill, (), 1, "copied")
    replies: list[Reply] = [()] * len(prefixes)
    live = list(range(len(prefixes)))
    for step in range(1, max_tokens + 1):
        tokens = _likeliest(architecture, prefixes.head_states)
        for row, token in zip(live, tokens, strict=True):
            replies[row] = None if token < 0 else (*(replies[row] or ()), token)
        going = [place for place, token in enumerate(tokens) if token >= 0 and token not in end_ids]
        if not going or step == max_tokens:
            break
        live = [live[place] for place in going]
        prefixes.grow(np.array(going), np.array([tokens[place] for place in going]))
    return replies


def _likeliest(architecture: Architecture, head_states: Tensor) -> list[int]:
    """The likeliest next token for each state, -1 where there is a NaN, with a bounded part of the logits in memory."""
    found: list[int] = []
    for part in head_states.split(rows_in_memory(architecture.vocabulary, head_states.device)):
        scores = logits(architecture, part)
        found += scores.argmax(-1).masked_fill(scores.isnan().any(-1), -1).tolist()
    return found
