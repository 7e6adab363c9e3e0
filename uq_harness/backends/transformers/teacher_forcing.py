"""Teacher-forced log-probabilities of given texts after given prompts; texts of one prompt share its prefill."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.cache_utils import DynamicCache

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.cache import cut, is_plain, repeat, select
from uq_harness.backends.transformers.forward import (
    Prefill,
    in_float64,
    log_softmax_and_entropy,
    logits,
    right_pad,
    rows_in_memory,
    rows_of_a_product,
    states,
    watched_states,
)
from uq_harness.backends.transformers.passes import in_passes
from uq_harness.batching import Room, in_shrinking_streams
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import ContinuationLogProb
from uq_harness.functional import FloatArray

log = logging.getLogger(__name__)
ROWS = 256  # continuations that go through the model at a time


@torch.no_grad()
def rescore(
    architecture: Architecture,
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
        architecture: The model.
        prefill: The prompts.
        rows: For each continuation the number of the prompt it follows.
        continuations: Token ids; an empty one gets an empty array.
        pad_id: Token that fills the padding.
        temperature: Divides the logits before the softmax.
        room: How many continuations go through the model at a time; one that memory does not hold alone gets ``nan``.
    """

    def passes(waiting: Sequence[int], size: int) -> Iterator[tuple[list[int], list[FloatArray]]]:
        shapes = [(1, len(continuations[i])) for i in waiting]
        for places in in_passes(shapes, architecture, size):
            yield places, score([waiting[place] for place in places])

    def score(part: Sequence[int]) -> list[FloatArray]:
        tokens = [continuations[i] for i in part]
        read, _ = follow(architecture, prefill, [rows[i] for i in part], tokens, pad_id)
        lengths = [len(one) for one in tokens]
        counted = torch.arange(read.shape[1]) < torch.tensor(lengths)[:, None]
        chosen = [token for one in tokens for token in one]
        scores = token_logprobs(architecture, read[counted.to(read.device)], range(len(chosen)), chosen, temperature)
        return np.split(scores, np.cumsum(lengths[:-1]))

    def undefined(i: int) -> list[FloatArray]:
        return [np.full(len(continuations[i]), np.nan)]

    found: list[FloatArray] = [np.empty(0)] * len(continuations)
    longest_first = sorted((i for i, c in enumerate(continuations) if c), key=lambda i: -len(continuations[i]))
    for part, scores in in_shrinking_streams(passes, longest_first, room or Room(ROWS), undefined):
        for i, one in zip(part, scores, strict=True):
            found[i] = one
    return found


def token_logprobs(
    architecture: Architecture, read: Tensor, at: Sequence[int], chosen: Sequence[int], temperature: float = 1.0
) -> FloatArray:
    """Log-probability of tokens, ``[tokens]``, with a bounded part of the logits in memory.

    Args:
        architecture: The model.
        read: States that the head reads, ``[states, width]``.
        at: For each token the number of the state that predicts it.
        chosen: The tokens.
        temperature: Divides the logits before the softmax.
    """
    found = np.empty(len(chosen))
    order = np.argsort(np.asarray(at, dtype=np.int64), kind="stable")
    sorted_at, tokens = np.asarray(at, dtype=np.int64)[order], np.asarray(chosen, dtype=np.int64)[order]
    size = rows_in_memory(architecture.vocabulary, read.device)
    product = rows_of_a_product(architecture.vocabulary, read.device)
    for start in range(0, len(read), product):
        scores = logits(architecture, read[start : start + product])
        sums = torch.cat([_scaled(part, temperature).logsumexp(-1) for part in scores.split(size)])
        first, last = np.searchsorted(sorted_at, [start, start + len(scores)])
        row = torch.as_tensor(sorted_at[first:last] - start, device=scores.device)
        taken = _scaled(scores[row, torch.as_tensor(tokens[first:last], device=scores.device)], temperature)
        found[order[first:last]] = (taken - sums[row.to(sums.device)]).cpu().numpy()
    return found


def _scaled(scores: Tensor, temperature: float) -> Tensor:
    precise = in_float64(scores)
    return precise if temperature == 1 else precise / temperature


@torch.no_grad()
def follow(
    architecture: Architecture,
    prefill: Prefill,
    rows: Sequence[int],
    tokens: Sequence[Sequence[int]],
    pad_id: int,
    watch: Collection[int] = (),
) -> tuple[Tensor, dict[int, Tensor]]:
    """What predicts each token of some continuations.

    Args:
        architecture: The model.
        prefill: The prompts, with what entered the watched blocks.
        rows: For each continuation the number of the prompt it follows.
        tokens: Token ids of the continuations.
        pad_id: Token that fills the padding.
        watch: Numbers of the blocks whose inputs are wanted.

    Returns:
        The states that the head reads to predict each token, ``[continuations, longest, width]``, and by their numbers
        what entered the watched blocks at the same places: at the prompt's last token, and at every token but the last.
    """
    device = prefill.ids.device
    at = torch.tensor(rows, device=device)
    first = _rows(prefill.last_state, at)[:, None]
    entered_first = {block: _rows(prefill.entered[block][:, -1:], at) for block in watch}
    fed = [row[:-1] for row in tokens]  # the last token predicts nothing that is asked for
    if not any(fed):
        return first, entered_first
    ids, new_mask = right_pad(fed, pad_id, device)
    mask = torch.cat([prefill.mask[at], new_mask], 1)
    if prefill.cache is None:
        whole = torch.cat([prefill.ids[at], ids], 1)
        hidden, _, entered = watched_states(architecture, whole, mask, use_cache=False, watch=watch)
        last = prefill.ids.shape[1] - 1
        return hidden[:, last:], {block: state[:, last:] for block, state in entered.items()}
    hidden, _, entered = watched_states(architecture, ids, mask, select(prefill.cache, at), watch=watch)
    return torch.cat([first, hidden], 1), {
        block: torch.cat([entered_first[block], state], 1) for block, state in entered.items()
    }


def _rows(values: Tensor, at: Tensor) -> Tensor:
    return values[at.to(values.device)]


def unconditional_logprobs(
    architecture: Architecture,
    answers: Sequence[Sequence[int]],
    bos: int | None,
    *,
    pad_id: int,
    room: Room | None = None,
) -> list[FloatArray]:
    """Log-probability of every token of answers that stand behind the beginning-of-sequence token alone, in nats.

    Args:
        architecture: The model.
        answers: Token ids; an empty answer gets an empty array.
        bos: The beginning-of-sequence token; ``None`` where there is none, and the first token's entry is ``nan``.
        pad_id: Token that fills the padding.
        room: How many answers go through the model at a time; one that memory does not hold alone gets ``nan``.
    """
    known = 0 if bos is not None else 1
    given = [tokens for tokens in answers if len(tokens) > known]
    starts = list(dict.fromkeys(bos if bos is not None else tokens[0] for tokens in given))
    scores: Iterator[FloatArray] = iter(())
    if given:
        prefill = Prefill.read(architecture, [[start] for start in starts], pad_id)
        rows = [starts.index(bos if bos is not None else tokens[0]) for tokens in given]
        rest = [list(tokens[known:]) for tokens in given]
        scores = iter(rescore(architecture, prefill, rows, rest, pad_id=pad_id, room=room))
    return [
        np.append(np.full(known, np.nan), next(scores)) if len(tokens) > known else np.full(len(tokens), np.nan)
        for tokens in answers
    ]


Tokenise = Callable[[str], list[int]]
# Answers to a prompt by their token ids, with the tokens' log-probabilities.
Told = Sequence[tuple[Sequence[int], FloatArray]]


def mean_logprobs(
    architecture: Architecture,
    prefill: Prefill,
    texts: Sequence[Sequence[str]],
    tokenise: Tokenise,
    *,
    temperature: float,
    pad_id: int,
    told: Sequence[Told] | None = None,
    max_length: int | None = None,
    room: Room | None = None,
) -> tuple[list[FloatArray], list[int]]:
    """Mean log-probability per token of each prompt's texts, in nats, and how many of its texts had to be read.

    It is ``-inf`` for a text without tokens, and ``nan`` for one that the context or memory does not hold.

    Args:
        architecture: The model.
        prefill: The prompts.
        texts: For each prompt the texts that follow it; equal ones are scored once.
        tokenise: Token ids of a text, without special tokens.
        temperature: Divides the logits before the softmax.
        pad_id: Token that fills the padding.
        told: For each prompt what is known already: a text that begins one of these answers is not read.
        max_length: The model's context in tokens; ``None`` for no limit.
        room: How many texts go through the model at a time.
    """
    every = {(row, text): tokenise(text) for row, given in enumerate(texts) for text in dict.fromkeys(given)}
    known = {key: _begins(ids, told[key[0]] if told else ()) for key, ids in every.items()}
    tokens = {key: ids for key, ids in every.items() if known[key] is None}
    lengths = prefill.mask.sum(1).tolist()
    fitting = [key for key, ids in tokens.items() if max_length is None or lengths[key[0]] + len(ids) <= max_length]
    if len(fitting) < len(tokens):
        log.warning(
            "%d sampled texts, tokenised again, do not fit into the context behind their prompts and get no score",
            len(tokens) - len(fitting),
        )
    rows, given_tokens = [row for row, _ in fitting], [tokens[key] for key in fitting]
    scores = rescore(architecture, prefill, rows, given_tokens, pad_id=pad_id, temperature=temperature, room=room)
    found = {key: score for key, score in known.items() if score is not None} | dict(zip(fitting, scores, strict=True))
    means = dict.fromkeys(every, np.nan)
    means |= {key: float(score.mean()) if len(score) else -np.inf for key, score in found.items()}
    count = Counter(row for row, ids in zip(rows, given_tokens, strict=True) if ids)
    return (
        [np.array([means[row, text] for text in given]) for row, given in enumerate(texts)],
        [count[row] for row in range(len(texts))],
    )


def _begins(tokens: Sequence[int], answers: Told) -> FloatArray | None:
    """The log-probabilities of tokens that one of some answers begins with; ``None`` where none does."""
    count = len(tokens)
    return next((found[:count] for ids, found in answers if tuple(ids[:count]) == tuple(tokens)), None)


class ContinuationScorer:
    """Scores one kind of continuation; the shared prefix goes through the model once.

    Args:
        architecture: The model.
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
        architecture: Architecture,
        tokenizer: PreTrainedTokenizerBase,
        need: ContinuationLogProb,
        max_length: int,
        pad_id: int,
        room: Room | None = None,
    ) -> None:
        self._room = room or Room(ROWS)
        self._architecture, self._tokenizer, self._need = architecture, tokenizer, need
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
            log.warning(
                "%d prompts that ask about answers do not fit into the context and get no score",
                len(pairs) - len(fitting),
            )
        scores = [float("nan")] * len(pairs)

        fed = {i: len(wholes[i]) - self._shared(wholes[i], starts[i]) for i in fitting}

        def passes(waiting: Sequence[int], size: int) -> Iterator[tuple[list[int], list[float]]]:
            shapes = [(1, fed[i]) for i in waiting]
            for places in in_passes(shapes, self._architecture, size):
                part = [waiting[place] for place in places]
                yield places, self._score([wholes[i] for i in part], [starts[i] for i in part])

        longest_first = sorted(fitting, key=lambda i: -fed[i])
        for part, found in in_shrinking_streams(passes, longest_first, self._room, lambda i: [float("nan")]):
            for i, one in zip(part, found, strict=True):
                scores[i] = one
        return scores

    def _score(self, wholes: list[list[int]], starts: list[int]) -> list[float]:
        shared = min(self._shared(whole, start) for whole, start in zip(wholes, starts, strict=True))
        prefix = cut(self._cache, shared) if shared and self._cache is not None else None
        shared = shared if prefix is not None else 0
        cache = repeat(prefix, len(wholes)) if prefix is not None else None
        device = self._architecture.input_device
        ids, mask = right_pad([whole[shared:-1] for whole in wholes], self._pad_id, device)
        mask = torch.cat([mask.new_ones(len(wholes), shared), mask], 1)
        read, _ = states(self._architecture, ids, mask, cache, use_cache=cache is not None)
        scores = []
        for row, (whole, start) in enumerate(zip(wholes, starts, strict=True)):
            tokens = torch.tensor(whole[start:])
            at = slice(start - 1 - shared, len(whole) - 1 - shared)
            logprobs, _ = log_softmax_and_entropy(logits(self._architecture, read[row, at]))
            scores.append(float(logprobs.cpu().gather(-1, tokens[:, None]).sum()))
        return scores

    @cached_property
    def _cache(self) -> DynamicCache | None:
        """Keys and values of the prefix; ``None`` where the model's cache cannot be shared."""
        ids, mask = right_pad([self._prefix], self._pad_id, self._architecture.input_device)
        _, cache = states(self._architecture, ids, mask)
        return cache if is_plain(cache) else None

    def _shared(self, whole: list[int], start: int) -> int:
        """Length of the prefix that a prompt's tokens begin with; its last token must be fed again."""
        limit = min(len(self._prefix), start - 1)
        return next((i for i in range(limit) if whole[i] != self._prefix[i]), limit)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text)["input_ids"]
        return ids
