"""Teacher-forced log-probabilities of given texts after given prompts; texts of one prompt share its prefill."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.cache_utils import DynamicCache

from uq_harness import functional
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.cache import cut, is_plain, repeat, select
from uq_harness.backends.transformers.forward import (
    Prefill,
    in_float64,
    log_softmax_and_entropy,
    logits,
    right_pad,
    states,
    watched_states,
)
from uq_harness.batching import Room, in_shrinking_batches, in_shrinking_streams
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import ConditionalLogProbs, ContinuationLogProb, Sample
from uq_harness.functional import FloatArray

ROWS = 256  # continuations that go through the model at a time
# Logits in memory at a time; on a CPU few, so that they stay in its cache.
ENTRIES = 2**18
ENTRIES_ON_GPU = 2**26


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

    def score(part: Sequence[int]) -> list[FloatArray]:
        tokens = [continuations[i] for i in part]
        read, _ = follow(architecture, prefill, [rows[i] for i in part], tokens, pad_id)
        lengths = [len(one) for one in tokens]
        counted = torch.arange(read.shape[1]) < torch.tensor(lengths)[:, None]
        chosen = torch.tensor([token for one in tokens for token in one])
        scores = _logprobs(architecture, read[counted.to(read.device)], chosen, temperature)
        return np.split(scores, np.cumsum(lengths[:-1]))

    def undefined(i: int) -> list[FloatArray]:
        return [np.full(len(continuations[i]), np.nan)]

    found: list[FloatArray] = [np.empty(0)] * len(continuations)
    longest_first = sorted((i for i, c in enumerate(continuations) if c), key=lambda i: -len(continuations[i]))
    for part, scores in in_shrinking_batches(score, longest_first, room or Room(ROWS), undefined):
        for i, one in zip(part, scores, strict=True):
            found[i] = one
    return found


def _logprobs(architecture: Architecture, read: Tensor, chosen: Tensor, temperature: float) -> FloatArray:
    """Log-probability of one token for each state, ``[states]``, with a bounded part of the logits in memory."""
    found = []
    entries = ENTRIES if read.device.type == "cpu" else ENTRIES_ON_GPU
    size = max(1, entries // architecture.vocabulary)
    for states_, tokens in zip(read.split(size), chosen.split(size), strict=True):
        scores = in_float64(logits(architecture, states_)) / temperature
        taken = scores.gather(-1, tokens[:, None].to(scores.device))[:, 0]
        found.append((taken - scores.logsumexp(-1)).cpu())
    return torch.cat(found).numpy()


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


def mean_logprobs(
    architecture: Architecture,
    prefill: Prefill,
    texts: Sequence[Sequence[str]],
    tokenise: Tokenise,
    *,
    temperature: float,
    pad_id: int,
    room: Room | None = None,
) -> list[FloatArray]:
    """Mean log-probability per token of each prompt's texts, in nats.

    It is ``-inf`` for a text without tokens, and ``nan`` for one that memory does not hold.

    Args:
        architecture: The model.
        prefill: The prompts.
        texts: For each prompt the texts that follow it; equal ones are scored once.
        tokenise: Token ids of a text, without special tokens.
        temperature: Divides the logits before the softmax.
        pad_id: Token that fills the padding.
        room: How many texts go through the model at a time.
    """
    distinct = list(dict.fromkeys((row, text) for row, given in enumerate(texts) for text in given))
    tokens = [tokenise(text) for _, text in distinct]
    rows = [row for row, _ in distinct]
    scores = rescore(architecture, prefill, rows, tokens, pad_id=pad_id, temperature=temperature, room=room)
    means = {key: float(score.mean()) if len(score) else -np.inf for key, score in zip(distinct, scores, strict=True)}
    return [np.array([means[row, text] for text in given]) for row, given in enumerate(texts)]


def conditionals(
    architecture: Architecture,
    samples: Sequence[Sequence[Sample]],
    stating: Sequence[Tokenise],
    tokenise: Tokenise,
    *,
    threshold: float,
    pad_id: int,
    room: Room | None = None,
    sampled: bool = False,
) -> list[ConditionalLogProbs]:
    """Distinct answers to each question, and their likelihoods after prompts that state one of them.

    A likelihood is ``nan`` where memory does not hold prompt and answer.

    Args:
        architecture: The model.
        samples: For each question the sampled answers.
        stating: For each question, the token ids of the whole prompt that states an answer.
        tokenise: Token ids of a text, without special tokens.
        threshold: Token F1 above which two answers count as one.
        pad_id: Token that fills the padding.
        room: How many prompts, and how many answers to them, go through the model at a time.
        sampled: Whether the answers' own probabilities are those of the law that they were drawn from.
    """
    merged = [
        functional.merge_by_f1([s.text for s in drawn], [s.log_likelihood(sampled) for s in drawn], threshold)
        for drawn in samples
    ]
    stated: list[list[int]] = []
    rows: list[int] = []
    continuations: list[list[int]] = []
    for state, (answers, _) in zip(stating, merged, strict=True):
        if len(answers) > 1:  # one answer alone tells nothing
            for answer in answers:
                rows += [len(stated)] * len(answers)
                continuations += [tokenise(other) for other in answers]
                stated.append(state(answer))
    scores = iter(_sums(architecture, stated, rows, continuations, pad_id, room or Room(ROWS)))
    return [
        ConditionalLogProbs(
            answers=tuple(answers),
            probabilities=probabilities,
            logprobs=np.array([[next(scores) for _ in answers] for _ in answers])
            if len(answers) > 1
            else np.zeros((len(answers), len(answers))),
        )
        for answers, probabilities in merged
    ]


def _sums(
    architecture: Architecture,
    prompts: list[list[int]],
    rows: list[int],
    continuations: list[list[int]],
    pad_id: int,
    room: Room,
) -> list[float]:
    """Log-likelihood of each continuation of the prompt at ``rows``."""
    following: list[list[int]] = [[] for _ in prompts]
    for i, row in enumerate(rows):
        following[row].append(i)

    def score(waiting: Sequence[int], size: int) -> Iterator[tuple[list[int], dict[int, float]]]:
        for positions in _parts([len(following[row]) for row in waiting], size, room):
            part = [waiting[position] for position in positions]
            prefill = Prefill.read(architecture, [prompts[row] for row in part], pad_id)
            numbers = [i for row in part for i in following[row]]
            places = [place for place, row in enumerate(part) for _ in following[row]]
            tokens = [continuations[i] for i in numbers]
            scores = rescore(architecture, prefill, places, tokens, pad_id=pad_id, room=room)
            yield positions, {i: float(one.sum()) for i, one in zip(numbers, scores, strict=True)}

    def undefined(row: int) -> dict[int, float]:
        return dict.fromkeys(following[row], np.nan)

    sums: dict[int, float] = {}
    longest_first = sorted(range(len(prompts)), key=lambda row: -len(prompts[row]))
    for _, some in in_shrinking_streams(score, longest_first, room, undefined):
        sums |= some
    return [sums[i] for i in range(len(continuations))]


def _parts(following: list[int], most: int, room: Room) -> Iterator[list[int]]:
    """Prompts in their order by their places, so many that they and what follows them go through the model at once.

    Args:
        following: How many texts follow each prompt.
        most: The largest number of prompts.
        room: The largest number of texts, unless one prompt has more.
    """
    part: list[int] = []
    for place, count in enumerate(following):
        if part and (len(part) == most or sum(following[one] for one in part) + count > room.size):
            yield part
            part = []
        part.append(place)
    if part:
        yield part


log = logging.getLogger(__name__)


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

        def score(part: Sequence[int]) -> list[float]:
            return self._score([wholes[i] for i in part], [starts[i] for i in part])

        for part, found in in_shrinking_batches(score, fitting, self._room, lambda i: [float("nan")]):
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
