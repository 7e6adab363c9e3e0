"""Decoding prompts: the greedy answers and all samples in one pass over a tree of prefixes.

A model's next-token distribution depends on the prefix alone. So each step runs the model once for every distinct live
prefix (a row); every answer that grows (a lane) chooses its own next token from the logits of the row it stands on.
Where answers have ended, prompts that wait take their place, so that one long answer does not hold a batch up.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uq_harness.backends.transformers.architecture import Anatomy
from uq_harness.backends.transformers.cache import CacheRow
from uq_harness.backends.transformers.decoded import Decoded, DecodedAnswer, DecodedPrompt
from uq_harness.backends.transformers.forward import Prefill
from uq_harness.backends.transformers.rows import Layout, Rows, begin
from uq_harness.backends.transformers.samplers import GREEDY, Chooser
from uq_harness.backends.transformers.sequences import IntArray, Lanes, take
from uq_harness.evidence import HeadGradient, Need, RescoredLogProb, SampleSet, StateGradient, StateGradientMap
from uq_harness.evidence import SampleSet as Sampler
from uq_harness.evidence.sets import SampleSets


@dataclass(frozen=True)
class Keep:
    """What decoding keeps beside the answers; by default everything.

    Attributes:
        head_states: Whether the state that the head read is kept for every token of the greedy answers, not only for
            the first.
        prompt_cache: Whether the prompts' keys and values are kept.
        states: The samplers whose answers keep their hidden state; ``None`` for all.
        laws: The samplers whose answers keep their log-probabilities under the law of the draw.
    """

    head_states: bool = True
    prompt_cache: bool = True
    states: frozenset[SampleSet] | None = None
    laws: frozenset[SampleSet] = frozenset()

    @classmethod
    def of(cls, needs: Iterable[Need[Any]], sets: SampleSets) -> Keep:
        """What some needs make later passes read, and nothing else.

        >>> from uq_harness.evidence import Samples
        >>> Keep.of([Samples(10, 1.0)], SampleSets.of([Samples(10, 1.0)]))
        Keep(head_states=False, prompt_cache=False, states=frozenset(), laws=frozenset())
        """
        needs = tuple(needs)
        return cls(
            head_states=any(isinstance(need, HeadGradient | StateGradient | StateGradientMap) for need in needs),
            prompt_cache=any(isinstance(need, StateGradient | StateGradientMap | RescoredLogProb) for need in needs),
            states=sets.stateful,
            laws=sets.lawful,
        )


def decode(anatomy: Anatomy, prompts: Sequence[Sequence[int]], *, pad_id: int, **how: Any) -> Decoded:
    """The answers to prompts that all begin together, as one batch; for the arguments see `decode_stream`."""
    stream = decode_stream(anatomy, prompts, size=len(prompts), pad_id=pad_id, **how)
    in_order = sorted((prompt for done in stream for prompt in done), key=lambda prompt: prompt.number)
    return Decoded.of(in_order, pad_id, anatomy.input_device)


@torch.no_grad()  # not inference_mode: the gradient pass starts from these tensors
def decode_stream(
    anatomy: Anatomy,
    prompts: Sequence[Sequence[int]],
    *,
    size: int,
    samplers: Sequence[Sampler] = (),
    end_ids: frozenset[int],
    pad_id: int,
    max_new_tokens: int,
    stops: Callable[[list[int]], bool] | None = None,
    keep: Keep | None = None,
    tap: int | None = None,
    tap_from: int = -1,
    seed: int = 0,
    layout: Layout = "auto",
) -> Iterator[list[DecodedPrompt]]:
    """Decodes the greedy answer and all samples of every prompt until their end tokens, stop strings or the limit.

    A prompt's samples depend on its tokens, the sampler and the seed, not on what shares the batch (up to what the
    batch's shape does to the logits' last digits), and the first ones not on how many there are.

    Args:
        anatomy: The model.
        prompts: Token ids of the prompts, best sorted by length.
        size: Number of prompts that begin together. As many answers grow at a time as that many prompts have at most;
            twice as many prompts may be under way once some of their answers have ended.
        samplers: What is drawn beside the greedy answers.
        end_ids: Tokens that end an answer.
        pad_id: Token that fills the padding.
        max_new_tokens: Limit on an answer's tokens.
        stops: Says whether an answer so far contains a stop string.
        keep: What is kept beside the answers; everything where absent.
        tap: Number of the block whose inputs are kept for the greedy answers, or ``None``.
        tap_from: First prompt column kept of the tapped block, counted from the prompt's end.
        seed: Seed of all samples.
        layout: How keys and values are kept; see `uq_harness.backends.transformers.rows`.

    Yields:
        Prompts whose answers have all ended, as they end.
    """
    samplers = tuple(dict.fromkeys(samplers))
    keep = keep or Keep()
    chooser = Chooser(samplers, 2 * size, seed=seed, end_ids=end_ids, pad_id=pad_id, laws=keep.laws)
    lanes = Lanes(2 * size, chooser.width, max_new_tokens)
    table = _Table(anatomy, lanes, chooser, keep, tap, tap_from, layout)
    waiting = deque(range(len(prompts)))
    while True:
        clock = time.perf_counter()
        tokens = table.grow()
        if slots := table.free_slots(size, len(waiting)):
            newcomers = [waiting.popleft() for _ in slots]
            for slot, number in zip(slots, newcomers, strict=True):
                chooser.seat(slot, prompts[number])
            tokens |= table.seat(slots, newcomers, [prompts[number] for number in newcomers], pad_id)
        if table.rows is None:
            return
        table.note_greedy_states()
        chooser.choose(anatomy, table.rows.head_states, lanes)
        table.note_last_states(lanes.end(end_ids, stops))
        table.note_cost(tokens, time.perf_counter() - clock)
        if done := table.finished():
            yield done


@dataclass
class _UnderWay:
    """What has been kept of a prompt whose answers grow."""

    number: int
    prompt_ids: Sequence[int]
    cache: CacheRow | None
    head_states: list[Tensor] = field(default_factory=list)
    middle_states: list[Tensor] = field(default_factory=list)
    last_states: dict[int, Tensor] = field(default_factory=dict)  # by the lane's place within the slot
    row_steps: int = 0
    seconds: float = 0.0


class _Table:
    """The prompts under way, each with a slot of lanes and its rows."""

    def __init__(
        self,
        anatomy: Anatomy,
        lanes: Lanes,
        chooser: Chooser,
        keep: Keep,
        tap: int | None,
        tap_from: int,
        layout: Layout,
    ) -> None:
        self.under_way: dict[int, _UnderWay] = {}
        self.rows: Rows | None = None
        self._anatomy, self._lanes, self._chooser, self._keep = anatomy, lanes, chooser, keep
        self._tap, self._tap_from, self._layout = tap, tap_from, layout
        self._stateful = np.zeros(lanes.width, dtype=np.bool_)  # places within a slot whose last states are wanted
        for sampler, places in chooser.places.items():
            self._stateful[places] = keep.states is None or sampler in keep.states
        self._middle = anatomy.n_blocks // 2 if self._stateful.any() else None
        self._watch = {block for block in (tap, self._middle) if block is not None}

    def free_slots(self, size: int, waiting: int) -> list[int]:
        """The slots where waiting prompts shall sit down now: none before there is room for half of a batch."""
        room = (size * self._lanes.width - int(self._lanes.live.sum())) // self._lanes.width
        free = [slot for slot in range(2 * size) if slot not in self.under_way]
        count = min(room, len(free), waiting)
        return free[:count] if 2 * count >= size or count == waiting else []

    def seat(
        self, slots: Sequence[int], numbers: Sequence[int], prompts: Sequence[Sequence[int]], pad_id: int
    ) -> dict[int, int]:
        """Reads prompts and gives each a row; returns the number of tokens read for each slot."""
        prefill = Prefill.read(self._anatomy, prompts, pad_id, self._watch)
        first = 0
        if self.rows is not None:
            first = len(self.rows)
            self.rows.join(prefill)
        else:
            self.rows = begin(self._anatomy, prefill, self._watch, self._lanes.width, self._layout)
        for row, (slot, number, ids) in enumerate(zip(slots, numbers, prompts, strict=True)):
            self._lanes.seat(slot, first + row)
            kept = prefill.cache if self._keep.prompt_cache else None
            self.under_way[slot] = _UnderWay(number, ids, CacheRow(kept, row, len(ids)) if kept is not None else None)
            if self._tap is not None:  # a clone, which does not keep the whole batch's states in memory
                before = prefill.entered[self._tap][row, self._tap_from : -1].clone()
                self.under_way[slot].middle_states.append(before)
        return {slot: len(ids) for slot, ids in zip(slots, prompts, strict=True)}

    def grow(self) -> dict[int, int]:
        """Runs the model on every distinct prefix; returns the number of rows of each slot."""
        if self.rows is None:
            return {}
        self.rows.grow(*self._lanes.move())
        slots, counts = np.unique(self._lanes.owners(), return_counts=True)
        return dict(zip(slots.tolist(), counts.tolist(), strict=True))

    def note_greedy_states(self) -> None:
        """Keeps what was asked for of the states on which the greedy answers stand."""
        assert self.rows is not None
        slots = [slot for slot in self.under_way if self._lanes.live[slot * self._lanes.width + GREEDY]]
        rows = self._lanes.row[np.array(slots, dtype=np.int64) * self._lanes.width + GREEDY]
        for slot, state in zip(slots, take(self.rows.head_states, rows), strict=True):
            if self._keep.head_states or not self.under_way[slot].head_states:
                self.under_way[slot].head_states.append(state[None])
        if self._tap is not None:
            for slot, state in zip(slots, take(self.rows.entered[self._tap], rows), strict=True):
                self.under_way[slot].middle_states.append(state[None])

    def note_last_states(self, ended: IntArray) -> None:
        """Keeps the middle states on which answers have ended."""
        ended = ended[self._stateful[ended % self._lanes.width]]
        if self._middle is None or self.rows is None or not len(ended):
            return
        states = take(self.rows.entered[self._middle], self._lanes.row[ended]).cpu()
        for lane, state in zip(ended.tolist(), states, strict=True):
            slot, place = divmod(lane, self._lanes.width)
            self.under_way[slot].last_states[place] = state

    def note_cost(self, tokens: dict[int, int], seconds: float) -> None:
        """Shares the time of a step by the tokens that went through the model for each prompt."""
        total = sum(tokens.values())
        for slot, count in tokens.items():
            one = self.under_way[slot]
            one.seconds += seconds * count / total
            one.row_steps += 1 if not one.row_steps else count

    def finished(self) -> list[DecodedPrompt]:
        """Takes the prompts whose answers have all ended off the table."""
        done = [slot for slot in self.under_way if not self._lanes.live[self._lanes.of(slot)].any()]
        if len(done) == len(self.under_way):
            self.rows = None  # its cache would only be in the way of the passes that follow
        return [self._clear(slot) for slot in done]

    def _clear(self, slot: int) -> DecodedPrompt:
        one = self.under_way.pop(slot)
        first = self._lanes.of(slot).start
        places = self._chooser.order(slot, self._lanes.lengths[self._lanes.of(slot)])
        return DecodedPrompt(
            number=one.number,
            prompt_ids=one.prompt_ids,
            greedy=DecodedAnswer(*self._lanes.answer(first + GREEDY)),
            samples={
                sampler: [
                    DecodedAnswer(
                        *self._lanes.answer(first + place),
                        one.last_states.get(place),
                        self._lanes.law(first + place) if sampler in self._keep.laws else None,
                    )
                    for place in lanes.tolist()
                ]
                for sampler, lanes in places.items()
            },
            head_states=torch.cat(one.head_states),
            middle_states=torch.cat(one.middle_states) if one.middle_states else None,
            cache=one.cache,
            row_steps=one.row_steps,
            seconds=one.seconds,
        )
