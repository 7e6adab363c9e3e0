"""Teacher-forced log-probabilities of fixed continuations, for prompts that share a long prefix."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property

import torch
from transformers import PreTrainedTokenizerBase
from transformers.cache_utils import DynamicCache

from uq_harness.engine.anatomy import Anatomy
from uq_harness.engine.cache import cut, is_plain, repeat
from uq_harness.engine.forward import log_softmax_and_entropy, logits, right_pad, states
from uq_harness.engine.rescore import ROWS
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import ContinuationLogProb
from uq_harness.memory import Room, in_shrinking_batches

log = logging.getLogger(__name__)


class ContinuationScorer:
    """Scores one kind of continuation; the shared prefix goes through the model once.

    Args:
        anatomy: The model.
        tokenizer: Its tokenizer.
        need: What is scored.
        max_length: The model's context in tokens.
        pad_id: Token that fills the padding.
        room: How many prompts go through the model at a time.

    Raises:
        UQHarnessError: The prefix alone fills the model's context.
    """

    def __init__(
        self,
        anatomy: Anatomy,
        tokenizer: PreTrainedTokenizerBase,
        need: ContinuationLogProb,
        max_length: int,
        pad_id: int,
        room: Room | None = None,
    ) -> None:
        self._room = room or Room(ROWS)
        self._anatomy, self._tokenizer, self._need = anatomy, tokenizer, need
        self._max_length, self._pad_id = max_length, pad_id
        self._prefix: list[int] = self._encode(need.prefix)
        if len(self._prefix) >= max_length:
            raise UQHarnessError(
                f"the few-shot prompt of P(True) has {len(self._prefix)} tokens, and the model's context only "
                f"{max_length}: leave p_true out of methods=, or raise max_length"
            )

    @torch.no_grad()
    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Log-probability of the continuation for each (question, answer), in nats.

        ``nan`` where prompt and continuation do not fit into the model's context, or into memory.
        """
        prompts = [self._need.prefix + self._need.prompt(question, answer) for question, answer in pairs]
        starts = [len(self._encode(prompt)) for prompt in prompts]
        wholes = [self._encode(prompt + self._need.continuation) for prompt in prompts]
        fitting = [i for i, whole in enumerate(wholes) if len(whole) <= self._max_length]
        if len(fitting) < len(pairs):
            log.warning("%d prompts of P(True) do not fit into the context and get no score", len(pairs) - len(fitting))
        scores = [float("nan")] * len(pairs)

        def score(part: Sequence[int]) -> list[float]:
            return self._score([wholes[i] for i in part], [starts[i] for i in part])

        for part, found in in_shrinking_batches(score, fitting, self._room, lambda i: [float("nan")]):
            for i, one in zip(part, found, strict=True):
                scores[i] = one
        return scores

    def _score(self, wholes: list[list[int]], starts: list[int]) -> list[float]:
        shared = min(self._shared(whole, start) for whole, start in zip(wholes, starts, strict=True))
        prefix = cut(self._cache, shared) if self._cache is not None else None
        shared = shared if prefix is not None else 0
        cache = repeat(prefix, len(wholes)) if prefix is not None else None
        device = self._anatomy.input_device
        ids, mask = right_pad([whole[shared:-1] for whole in wholes], self._pad_id, device)
        mask = torch.cat([mask.new_ones(len(wholes), shared), mask], 1)
        read, _ = states(self._anatomy, ids, mask, cache, use_cache=cache is not None)
        scores = []
        for row, (whole, start) in enumerate(zip(wholes, starts, strict=True)):
            tokens = torch.tensor(whole[start:])
            at = slice(start - 1 - shared, len(whole) - 1 - shared)
            logprobs, _ = log_softmax_and_entropy(logits(self._anatomy, read[row, at]))
            scores.append(float(logprobs.cpu().gather(-1, tokens[:, None]).sum()))
        return scores

    @cached_property
    def _cache(self) -> DynamicCache | None:
        """Keys and values of the prefix; ``None`` where the model's cache cannot be shared."""
        ids, mask = right_pad([self._prefix], self._pad_id, self._anatomy.input_device)
        _, cache = states(self._anatomy, ids, mask)
        return cache if is_plain(cache) else None

    def _shared(self, whole: list[int], start: int) -> int:
        """Length of the prefix that a prompt's tokens begin with; its last token has to be fed anew."""
        limit = min(len(self._prefix), start - 1)
        return next((i for i in range(limit) if whole[i] != self._prefix[i]), limit)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text)["input_ids"]
        return ids
