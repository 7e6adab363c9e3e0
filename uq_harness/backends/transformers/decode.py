"""Decodes prompts: the greedy answers and all samples in one pass over a tree of prefixes.

A model's next-token distribution depends on the prefix alone. So each step runs the model once for every distinct live
prefix; every sequence (an answer that has not ended) gets its next token from the logits of its own prefix. Where
answers have ended, waiting prompts take their place, so that one long answer does not hold a batch up.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.cache import CacheRow
from uq_harness.backends.transformers.decoded import Decoded, DecodedAnswer, DecodedPrompt
from uq_harness.backends.transformers.distributions import NO_SUMS, Sums
from uq_harness.backends.transformers.forward import Prefill
from uq_harness.backends.transformers.next_token import GREEDY, NextToken
from uq_harness.backends.transformers.prefixes import Layout, Prefixes, begin
from uq_harness.backends.transformers.readers import Readers
from uq_harness.backends.transformers.self_attention import SelfAttentionReader
from uq_harness.backends.transformers.sequences import IntArray, Sequences, take
from uq_harness.evidence import (
    ConfidenceReply,
    HeadGradient,
    Need,
    RescoredLogProb,
    SampleSet,
    StateGradient,
    StateGradientMap,
)
from uq_harness.evidence.sets import SampleSets

# Needs whose passes go on from the prompts' keys and values.
_READ_ON = StateGradient | StateGradientMap | RescoredLogProb | ConfidenceReply


@dataclass(frozen=True)
class Kept:
    """What decoding keeps in addition to the answers; by default everything.

    Attributes:
        head_states: Whether the state that the head read is kept for every token of the greedy answers, not only for
            the first.
        prompt_cache: Whether the prompts' keys and values are kept.
        states: The samplers whose answers keep their hidden state; ``None`` for all.
        laws: The samplers whose answers keep their log-probabilities under the law of the draw.
        logits: The samplers whose answers keep their tokens' logits.
        tempered: The beam searches whose answers keep their log-probabilities at another temperature, and which.
        sums: What is kept of the distributions of the greedy answers' tokens.
    """

    head_states: bool = True
    prompt_cache: bool = True
    states: frozenset[SampleSet] | None = None
    laws: frozenset[SampleSet] = frozenset()
    logits: frozenset[SampleSet] = frozenset()
    tempered: Mapping[SampleSet, float] = field(default_factory=dict)
    sums: Sums = NO_SUMS

    @classmethod
    def of(cls, needs: Iterable[Need[Any]], sets: SampleSets) -> Kept:
        """What some needs make later passes read, and nothing else.

        >>> from uq_harness.evidence import Samples
        >>> Kept.of([Samples(10, 1.0)], SampleSets.of([Samples(10, 1.0)])) == Kept(False, False, frozenset())
        True
        """
        needs = tuple(needs)
        return cls(
            head_states=any(isinstance(need, HeadGradient | StateGradient | StateGradientMap) for need in needs),
            prompt_cache=any(isinstance(need, _READ_ON) for need in needs),
            states=sets.stateful,
            laws=sets.lawful,
            logits=sets.with_logits,
            tempered=sets.tempered,
            sums=Sums.of(needs),
        )


def decode(architecture: Architecture, prompts: Sequence[Sequence[int]], *, pad_id: int, **how: Any) -> Decoded:
    """The answers to prompts that all begin together, as one batch; for the arguments see `decode_stream`."""
    stream = decode_stream(architecture, prompts, size=len(prompts), pad_id=pad_id, **how)
    in_order = sorted((prompt for done in stream for prompt in done), key=lambda prompt: prompt.number)
    return Decoded.of(in_order, pad_id, architecture.input_device)


@torch.no_grad()  # not inference_mode: the gradient pass starts from these tensors
def decode_stream(
    architecture: Architecture,
    prompts: Sequence[Sequence[int]],
    *,
    size: int,
    samplers: Sequence[SampleSet] = (),
    sets: Sequence[SampleSet] | None = None,
    end_ids: frozenset[int],
    pad_id: int,
    max_new_tokens: int,
    stops: Callable[[list[int]], bool] | None = None,
    kept: Kept | None = None,
    captured_block: int | None = None,
    captured_from: int = -1,
    seed: int = 0,
    layout: Layout = "auto",
    reader: SelfAttentionReader | None = None,
) -> Iterator[list[DecodedPrompt]]:
    """Decodes the greedy answer and all samples of every prompt until their end tokens, stop strings or the limit.

    A prompt's samples depend on its tokens, the sampler and the seed, not on what shares the batch (up to what the
    batch's shape does to the logits' last digits), and the first ones not on how many there are.

    Args:
        architecture: The model.
        prompts: Token ids of the prompts, best sorted by length.
        size: Number of prompts that begin together. As many sequences run at a time as that many prompts have at most;
            twice as many prompts may run once some of their answers have ended.
        samplers: What is drawn in addition to the greedy answers.
        sets: The sets that are cut out of what is drawn, for the account of what each costs; the samplers' own if
            absent.
        end_ids: Tokens that end an answer.
        pad_id: Token that fills the padding.
        max_new_tokens: Limit on an answer's tokens.
        stops: Says whether an answer so far contains a stop string.
        kept: What is kept in addition to the answers; everything where absent.
        captured_block: Number of the block whose inputs are kept for the greedy answers, or ``None``.
        captured_from: First prompt column kept of the captured block, counted from the prompt's end.
        seed: Seed of all samples.
        layout: How keys and values are kept; see `uq_harness.backends.transformers.prefixes`.
        reader: What reads the attention that the greedy answers' tokens give to themselves, where it is wanted.

    Yields:
        Prompts whose answers have all ended, as they end.
    """
    samplers = tuple(dict.fromkeys(samplers))
    kept = kept or Kept()
    next_token = NextToken(
        samplers,
        2 * size,
        seed=seed,
        end_ids=end_ids,
        pad_id=pad_id,
        laws=kept.laws,
        tempered=kept.tempered,
        sums=kept.sums,
    )
    sequences = Sequences(2 * size, next_token.width, max_new_tokens)
    readers = Readers(next_token.places, samplers if sets is None else sets, next_token.width)
    scheduler = _Scheduler(
        architecture, sequences, next_token, kept, captured_block, captured_from, layout, reader, readers
    )
    waiting = deque(range(len(prompts)))
    while True:
        clock = time.perf_counter()
        tokens = scheduler.grow()
        if slots := scheduler.free_slots(size, len(waiting)):
            newcomers = [waiting.popleft() for _ in slots]
            for slot, number in zip(slots, newcomers, strict=True):
                next_token.admit(slot, prompts[number])
            tokens |= scheduler.admit(slots, newcomers, [prompts[number] for number in newcomers], pad_id)
        if scheduler.prefixes is None:
            return
        scheduler.note_greedy_states()
        next_token.choose(architecture, scheduler.prefixes.head_states, sequences)
        scheduler.note_last_states(sequences.end(end_ids, stops))
        scheduler.note_cost(tokens, time.perf_counter() - clock)
        if done := scheduler.finished():
            yield done


@dataclass
class _RunningPrompt:
    """What has been kept of a prompt whose answers have not all ended."""

    number: int
    prompt_ids: Sequence[int]
    cache: CacheRow | None
    head_states: list[Tensor] = field(default_factory=list)
    middle_states: list[Tensor] = field(default_factory=list)
    self_attention: list[Tensor] = field(default_factory=list)
    last_states: dict[int, Tensor] = field(default_factory=dict)  # by the sequence's number within the slot
    row_steps: int = 0  # forward tokens, the prompt counted as one
    seconds: float = 0.0
    seconds_of_sets: dict[frozenset[SampleSet], float] = field(default_factory=dict)


class _Scheduler:
    """The running prompts, each with a slot of sequences and its prefixes."""

    def __init__(
        self,
        architecture: Architecture,
        sequences: Sequences,
        next_token: NextToken,
        kept: Kept,
        captured_block: int | None,
        captured_from: int,
        layout: Layout,
        reader: SelfAttentionReader | None,
        readers: Readers,
    ) -> None:
        self._readers, self._read_by = readers, dict[int, Counter[frozenset[SampleSet]]]()
        self.running: dict[int, _RunningPrompt] = {}
        self.prefixes: Prefixes | None = None
        self._architecture, self._sequences, self._next_token, self._kept = architecture, sequences, next_token, kept
        self._captured_block, self._captured_from, self._layout = captured_block, captured_from, layout
        self._reader = reader
        self._stateful = np.zeros(sequences.width, dtype=np.bool_)  # places within a slot whose last states are wanted
        for sampler, places in next_token.places.items():
            self._stateful[places] = kept.states is None or sampler in kept.states
        self._middle = architecture.n_blocks // 2 if self._stateful.any() else None
        self._watch = {block for block in (captured_block, self._middle) if block is not None}

    def free_slots(self, size: int, waiting: int) -> list[int]:
        """The slots that waiting prompts take now: none before half of a batch fits."""
        capacity = (size * self._sequences.width - int(self._sequences.live.sum())) // self._sequences.width
        free = [slot for slot in range(2 * size) if slot not in self.running]
        count = min(capacity, len(free), waiting)
        return free[:count] if 2 * count >= size or count == waiting else []

    def admit(
        self, slots: Sequence[int], numbers: Sequence[int], prompts: Sequence[Sequence[int]], pad_id: int
    ) -> dict[int, int]:
        """Reads prompts and gives each a prefix; returns the number of tokens read for each slot."""
        prefill = Prefill.read(self._architecture, prompts, pad_id, self._watch)
        first = 0
        if self.prefixes is not None:
            first = len(self.prefixes)
            self.prefixes.join(prefill)
        else:
            width = self._sequences.width
            self.prefixes = begin(self._architecture, prefill, self._watch, width, self._layout, self._reader)
        for row, (slot, number, ids) in enumerate(zip(slots, numbers, prompts, strict=True)):
            self._sequences.admit(slot, first + row)
            cache = prefill.cache if self._kept.prompt_cache else None
            self.running[slot] = _RunningPrompt(
                number, ids, CacheRow(cache, row, len(ids)) if cache is not None else None
            )
            self.running[slot].seconds_of_sets = {frozenset([one]): 0.0 for one in self._readers.sets}
            if self._captured_block is not None:  # a clone, which does not keep the whole batch's states in memory
                before = prefill.entered[self._captured_block][row, self._captured_from : -1].clone()
                self.running[slot].middle_states.append(before)
        return {slot: len(ids) for slot, ids in zip(slots, prompts, strict=True)}

    def grow(self) -> dict[int, int]:
        """Runs the model on every distinct prefix; returns the number of prefixes of each slot."""
        if self.prefixes is None:
            return {}
        parents, tokens = self._sequences.move()
        greedy, prefixes = self._greedy()
        self.prefixes.grow(parents, tokens, prefixes)
        if self.prefixes.self_attention is not None:
            for slot, weights in zip(greedy, self.prefixes.self_attention, strict=True):
                self.running[slot].self_attention.append(weights)
        self._read_by = self._readers.count(self._sequences)
        slots, counts = np.unique(self._sequences.owners(), return_counts=True)
        return dict(zip(slots.tolist(), counts.tolist(), strict=True))

    def note_greedy_states(self) -> None:
        """Keeps what was asked for of the states that predict the greedy answers' next tokens."""
        assert self.prefixes is not None
        slots, prefixes = self._greedy()
        for slot, state in zip(slots, take(self.prefixes.head_states, prefixes), strict=True):
            if self._kept.head_states or not self.running[slot].head_states:
                self.running[slot].head_states.append(state[None])
        if self._captured_block is not None:
            for slot, state in zip(slots, take(self.prefixes.entered[self._captured_block], prefixes), strict=True):
                self.running[slot].middle_states.append(state[None])

    def _greedy(self) -> tuple[list[int], IntArray]:
        """The slots whose greedy answer has not ended, and the prefix of each."""
        slots = [slot for slot in self.running if self._sequences.live[slot * self._sequences.width + GREEDY]]
        return slots, self._sequences.prefix[np.array(slots, dtype=np.int64) * self._sequences.width + GREEDY]

    def note_last_states(self, ended: IntArray) -> None:
        """Keeps the middle states at the ends of answers."""
        ended = ended[self._stateful[ended % self._sequences.width]]
        if self._middle is None or self.prefixes is None or not len(ended):
            return
        states = take(self.prefixes.entered[self._middle], self._sequences.prefix[ended]).cpu()
        for sequence, state in zip(ended.tolist(), states, strict=True):
            slot, place = divmod(sequence, self._sequences.width)
            self.running[slot].last_states[place] = state

    def note_cost(self, tokens: dict[int, int], seconds: float) -> None:
        """Shares the time of a step by the tokens that went through the model for each prompt."""
        total = sum(tokens.values())
        for slot, count in tokens.items():
            one = self.running[slot]
            one.seconds += seconds * count / total
            one.row_steps += 1 if not one.row_steps else count
            for sets, rows in self._read_by.get(slot, {}).items():
                one.seconds_of_sets[sets] = one.seconds_of_sets.get(sets, 0.0) + seconds * rows / total
        self._read_by = {}

    def finished(self) -> list[DecodedPrompt]:
        """Removes and returns the prompts whose answers have all ended."""
        done = [slot for slot in self.running if not self._sequences.live[self._sequences.of(slot)].any()]
        if len(done) == len(self.running):
            self.prefixes = None  # its cache would only be in the way of the passes that follow
        return [self._clear(slot) for slot in done]

    def _clear(self, slot: int) -> DecodedPrompt:
        one = self.running.pop(slot)
        first = self._sequences.of(slot).start
        places = self._next_token.order(slot, self._sequences.lengths[self._sequences.of(slot)])
        return DecodedPrompt(
            number=one.number,
            prompt_ids=one.prompt_ids,
            greedy=DecodedAnswer(
                *self._sequences.answer(first + GREEDY),
                distributions=tuple(self._sequences.distributions[first + GREEDY]),
            ),
            samples={
                sampler: [
                    DecodedAnswer(
                        *self._sequences.answer(first + place),
                        one.last_states.get(place),
                        self._sequences.law(first + place) if sampler in self._kept.laws else None,
                        self._sequences.logits_of(first + place) if sampler in self._kept.logits else None,
                        self._sequences.law(first + place) if sampler in self._kept.tempered else None,
                    )
                    for place in numbers.tolist()
                ]
                for sampler, numbers in places.items()
            },
            head_states=torch.cat(one.head_states),
            middle_states=torch.cat(one.middle_states) if one.middle_states else None,
            self_attention=torch.stack(one.self_attention, -1) if one.self_attention else None,
            cache=one.cache,
            row_steps=one.row_steps,
            seconds=one.seconds,
            seconds_of_sets=one.seconds_of_sets,
        )
