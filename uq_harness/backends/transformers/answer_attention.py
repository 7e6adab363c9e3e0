"""The attention that the last token of a prompt gives to an answer which stands in the prompt."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.forward import right_pad, states
from uq_harness.backends.transformers.self_attention import SelfAttentionReader
from uq_harness.batching import Room, in_shrinking_batches
from uq_harness.evidence import AnswerAttention
from uq_harness.functional import FloatArray

log = logging.getLogger(__name__)
Encode = Callable[[str, bool], list[int]]


@dataclass(frozen=True)
class AnswerInPrompt:
    """A prompt in which an answer stands as its own tokens.

    Attributes:
        ids: The prompt's tokens.
        start: The place of the first of the answer's tokens.
        shown: For each of the answer's tokens, whether it stands in the prompt; special ones do not.
    """

    ids: list[int]
    start: int
    shown: list[bool]

    @classmethod
    def of(
        cls, need: AnswerAttention, question: str, answer: Sequence[int], encode: Encode, special_ids: Collection[int]
    ) -> AnswerInPrompt:
        """The prompt that a need means.

        Args:
            need: The need.
            question: The bare question.
            answer: The answer's tokens.
            encode: Token ids of a text, with special tokens before it or without.
            special_ids: The tokens that an answer's text does not show.
        """
        before, shown = encode(need.before(question), True), [token not in special_ids for token in answer]
        stated = [token for token, one in zip(answer, shown, strict=True) if one]
        return cls(before + stated + encode(need.after, False), len(before), shown)

    @property
    def places(self) -> range:
        """The places of those of the answer's tokens that stand in the prompt."""
        return range(self.start, self.start + sum(self.shown))


@torch.no_grad()
def answer_attention(
    architecture: Architecture,
    reader: SelfAttentionReader,
    prompts: Sequence[AnswerInPrompt],
    *,
    max_length: int,
    pad_id: int,
    room: Room,
) -> list[FloatArray | None]:
    """The attention weight of each prompt's last token for every token of the answer, ``[blocks, tokens]`` each.

    It is the mean of a block's heads, and 0 for tokens that do not stand in the prompt.

    Args:
        architecture: The model.
        reader: Reads the weights of the wanted blocks.
        prompts: The prompts.
        max_length: The model's context in tokens; the weights of a longer prompt are ``None``.
        pad_id: Token that fills the padding.
        room: How many prompts go through the model at a time; one that memory does not hold alone gets ``None``.
    """

    def read(part: Sequence[int]) -> list[FloatArray | None]:
        some = [prompts[i] for i in part]
        ids, mask = right_pad([one.ids for one in some], pad_id, architecture.input_device)
        columns, _ = right_pad([one.places for one in some], 0, architecture.input_device)
        with reader.read(places=mask.sum(1, keepdim=True) - 1, columns=columns) as reading:
            states(architecture, ids, mask, use_cache=False)
        weights = reading.weights()
        assert weights is not None
        return [_spread(one, of_row) for one, of_row in zip(some, weights.cpu().double().numpy(), strict=True)]

    def undefined(_: int) -> list[FloatArray | None]:
        return [None]

    found: list[FloatArray | None] = [
        None if any(one.shown) else np.zeros((len(reader.blocks), len(one.shown))) for one in prompts
    ]
    asked = [i for i, one in enumerate(prompts) if any(one.shown)]
    fitting = sorted((i for i in asked if len(prompts[i].ids) <= max_length), key=lambda i: -len(prompts[i].ids))
    if len(fitting) < len(asked):
        log.warning("%d grading prompts do not fit into the context: no attention is read", len(asked) - len(fitting))
    for part, some in in_shrinking_batches(read, fitting, room, undefined):
        for i, one in zip(part, some, strict=True):
            found[i] = one
    return found


def _spread(prompt: AnswerInPrompt, weights: FloatArray) -> FloatArray:
    """Weights ``[blocks, places or more]`` put where the answer has these tokens, and 0 elsewhere."""
    spread = np.zeros((len(weights), len(prompt.shown)))
    spread[:, prompt.shown] = weights[:, : len(prompt.places)]
    return spread
