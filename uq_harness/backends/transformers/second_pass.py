"""Answers that another engine has written, read by the model once: what decoding would have left behind.

From there, the transformers engine's own passes go on: gradients, rescoring, P(True), and so on.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.backends.transformers.cache import CacheRow
from uq_harness.backends.transformers.decoded import DecodedAnswer, DecodedPrompt
from uq_harness.backends.transformers.distributions import NO_SUMS, Sums
from uq_harness.backends.transformers.forward import Prefill, in_float64, logits, rows_in_memory
from uq_harness.backends.transformers.next_token import logprobs_and_entropies
from uq_harness.backends.transformers.sampler import law_logprobs
from uq_harness.backends.transformers.self_attention import Reading
from uq_harness.backends.transformers.teacher_forcing import follow
from uq_harness.batching import in_shrinking_batches
from uq_harness.evidence import Samples, SampleSet
from uq_harness.evidence.prompt import Prompt, StopCriteria
from uq_harness.functional import FloatArray


@dataclass(frozen=True)
class GivenAnswer:
    """An answer that has been written already, greedy or sampled.

    Attributes:
        text: Its text.
        token_ids: The tokens that count; all of them are among the emitted ones, side by side.
        emitted_ids: All tokens that were written.
        logprobs: Log-probability of each token that counts, as the engine told them; ``None`` where it did not.
        complete: Whether the answer ended by itself.
    """

    text: str
    token_ids: tuple[int, ...]
    emitted_ids: tuple[int, ...]
    logprobs: FloatArray | None = None
    complete: bool = True

    @property
    def known(self) -> bool:
        """Whether the engine told the log-probabilities of all tokens that count."""
        return self.logprobs is not None and not np.isnan(self.logprobs).any()


@dataclass(frozen=True)
class GivenPrompt(Prompt):
    """A prompt with the answers to it.

    Attributes:
        answer: The greedy answer.
        drawn: The sampled answers, for each set that is read.
    """

    answer: GivenAnswer = GivenAnswer("", (), ())
    drawn: Mapping[SampleSet, Sequence[GivenAnswer]] = field(default_factory=dict)


class SecondPass(TransformersBackend):
    """A `TransformersBackend` that reads the answers of `GivenPrompt`s instead of writing them.

    Log-probabilities and entropies of the greedy answer are computed. Those of samples are the engine's own, unless it
    did not tell them or the samples have to be read anyway, for their hidden states, their logits or the law of the
    draw.
    """

    def _decode(
        self,
        prompts: Sequence[Prompt],
        stop: StopCriteria,
        size: int,
        samplers: Sequence[SampleSet] | None = None,
    ) -> Iterator[list[DecodedPrompt]]:
        samplers = self._plan.sets.samplers if samplers is None else samplers
        given = [prompt for prompt in prompts if isinstance(prompt, GivenPrompt)]
        order = list(range(len(given)))
        if size > 1:  # like lengths together; by itself each question keeps its turn, as `in_shrinking_streams` needs
            order.sort(key=lambda row: -_length(given[row]))
        for start in range(0, len(order), size):
            numbers = order[start : start + size]
            yield self._forced(numbers, [given[number] for number in numbers], samplers)

    @torch.no_grad()  # not inference_mode: the gradient pass starts from these tensors
    def _forced(
        self, numbers: Sequence[int], prompts: Sequence[GivenPrompt], samplers: Sequence[SampleSet]
    ) -> list[DecodedPrompt]:
        """A batch of prompts and answers, as decoding would have left it."""
        clock = time.perf_counter()
        captured, kept = self._plan.captured_block, self._plan.kept
        stateful = self._plan.sets.stateful.intersection(samplers)
        middle = self._architecture.n_blocks // 2 if stateful else None
        watch = {block for block in (captured, middle) if block is not None}
        prefill = Prefill.read(self._architecture, [prompt.token_ids for prompt in prompts], self._pad_id, watch)
        # what was written is at least one token, for there is no batch without columns
        emitted = [prompt.answer.emitted_ids or (self._pad_id,) for prompt in prompts]
        rows, entering = range(len(prompts)), () if captured is None else (captured,)
        with self._reading(prefill, max(map(len, emitted)) - 1) as reading:
            read, entered = follow(self._architecture, prefill, rows, emitted, self._pad_id, entering)
        attention = None if reading is None else reading.weights()
        samples = {one: self._samples(prefill, prompts, one, middle if one in stateful else None) for one in samplers}
        first = min(-self._plan.n_positions, *(prompt.semantic_token for prompt in prompts))
        found = []
        for row, (number, prompt, tokens) in enumerate(zip(numbers, prompts, emitted, strict=True)):
            head_states = read[row, : len(tokens)]
            before = None
            if captured is not None:
                states = [prefill.entered[captured][row, first:-1], entered[captured][row, : len(tokens)]]
                before = torch.cat(states)
            cache = prefill.cache if kept.prompt_cache else None
            found.append(
                DecodedPrompt(
                    number=number,
                    prompt_ids=prompt.token_ids,
                    greedy=_greedy(self._architecture, prompt.answer, tokens, head_states, kept.sums),
                    samples={one: drawn[row] for one, drawn in samples.items()},
                    head_states=(head_states if kept.head_states else head_states[:1]).clone(),
                    middle_states=before,
                    cache=None if cache is None else CacheRow(cache, row, len(prompt.token_ids)),
                    row_steps=len(tokens) + sum(len(one.emitted_ids) - 1 for one in self._to_read(prompt, samples)),
                    seconds=0.0,
                    seconds_of_sets=self._tokens_of_sets(prompt, samples),
                    self_attention=None if attention is None else attention[row, ..., : len(tokens) - 1],
                )
            )
        seconds, total = time.perf_counter() - clock, sum(one.row_steps for one in found)
        return [
            replace(
                one,
                seconds=seconds * one.row_steps / total,
                seconds_of_sets={sets: seconds * tokens / total for sets, tokens in one.seconds_of_sets.items()},
            )
            for one in found
        ]

    @contextmanager
    def _reading(self, prefill: Prefill, fed: int) -> Iterator[Reading | None]:
        """Reads the self-attention of all fed tokens of the answers, where it is wanted."""
        if self._reader is None:
            yield None
            return
        start = 0 if prefill.cache is not None else prefill.ids.shape[1]
        with self._reader.read(places=torch.arange(start, start + fed).repeat(len(prefill.ids), 1)) as reading:
            yield reading

    def _tokens_of_sets(self, prompt: GivenPrompt, samplers: Iterable[SampleSet]) -> dict[frozenset[SampleSet], float]:
        """Tokens of samples that have to go through the model, by all sets that the sample is in."""
        found: dict[frozenset[SampleSet], float] = {frozenset([one]): 0.0 for one in self._plan.sets.wanted}
        for sampler in samplers:
            drawn = self._plan.sets.divide({sampler: prompt.drawn[sampler]})
            for one in self._to_read(prompt, {sampler: None}):
                sets = frozenset(some for some, members in drawn.items() if one in members)
                found[sets] = found.get(sets, 0.0) + len(one.emitted_ids) - 1
        return found

    def _to_read(self, prompt: GivenPrompt, sets: Mapping[SampleSet, object]) -> list[GivenAnswer]:
        """The distinct samples of some sets that have to go through the model."""
        return [one for sampler in sets for one in _distinct(prompt.drawn[sampler]) if self._is_read(sampler, one)]

    def _is_read(self, sampler: SampleSet, one: GivenAnswer) -> bool:
        wanted = self._plan.sets.stateful | self._plan.sets.lawful | self._plan.sets.with_logits
        return bool(one.emitted_ids) and (sampler in wanted or not one.known)

    def _samples(
        self, prefill: Prefill, prompts: Sequence[GivenPrompt], sampler: SampleSet, middle: int | None
    ) -> list[list[DecodedAnswer]]:
        """The samples of one set for each prompt; equal ones are read once."""
        pairs = [
            (row, one)
            for row, prompt in enumerate(prompts)
            for one in _distinct(prompt.drawn[sampler])
            if self._is_read(sampler, one)
        ]
        pairs.sort(key=lambda pair: -len(pair[1].emitted_ids))
        work = partial(self._read_samples, prefill, sampler, middle)
        found = {
            (row, one.emitted_ids): decoded
            for part, some in in_shrinking_batches(work, pairs, self._room)
            for (row, one), decoded in zip(part, some, strict=True)
        }
        ends = [None] * len(prompts) if middle is None else prefill.entered[middle][:, -1].cpu()
        return [
            [_as_drawn(one, found.get((row, one.emitted_ids)), end) for one in prompt.drawn[sampler]]
            for row, (prompt, end) in enumerate(zip(prompts, ends, strict=True))
        ]

    def _read_samples(
        self, prefill: Prefill, sampler: SampleSet, middle: int | None, pairs: Sequence[tuple[int, GivenAnswer]]
    ) -> list[DecodedAnswer]:
        rows, tokens = [row for row, _ in pairs], [one.emitted_ids for _, one in pairs]
        watch = () if middle is None else (middle,)
        read, entered = follow(self._architecture, prefill, rows, tokens, self._pad_id, watch)
        law = sampler if isinstance(sampler, Samples) and sampler in self._plan.sets.lawful else None
        found = []
        for place, (_, one) in enumerate(pairs):
            count = len(one.emitted_ids)
            chosen = _chosen(self._architecture, read[place, :count], one.emitted_ids, law)
            found.append(
                DecodedAnswer(
                    one.emitted_ids,
                    chosen.logprobs,
                    chosen.entropies,
                    one.complete,
                    None if middle is None else entered[middle][place, count - 1].cpu(),
                    chosen.laws if law is not None else None,
                    chosen.logits if sampler in self._plan.sets.with_logits else None,
                )
            )
        return found


def _length(prompt: GivenPrompt) -> int:
    return len(prompt.token_ids) + len(prompt.answer.emitted_ids)


def _distinct(drawn: Sequence[GivenAnswer]) -> list[GivenAnswer]:
    """One of those that have the same tokens, one without log-probabilities if there is one."""
    found: dict[tuple[int, ...], GivenAnswer] = {}
    for one in drawn:
        if one.emitted_ids not in found or not one.known:
            found[one.emitted_ids] = one
    return list(found.values())


class _Chosen(NamedTuple):
    """What is read about each of an answer's tokens, float64.

    Attributes:
        logprobs: Log-probabilities.
        entropies: Entropies of the distributions.
        laws: Log-probabilities under a law; ``nan`` without one.
        logits: Logits.
        distributions: What was taken of each distribution, where anything was.
    """

    logprobs: FloatArray
    entropies: FloatArray
    laws: FloatArray
    logits: FloatArray
    distributions: tuple[FloatArray, ...]


def _chosen(
    architecture: Architecture, read: Tensor, tokens: Sequence[int], law: Samples | None = None, sums: Sums = NO_SUMS
) -> _Chosen:
    """What is known about each token; a bounded part of the logits is in memory at a time.

    Args:
        architecture: The model.
        read: The states that the head reads to predict each token, ``[tokens, width]``.
        tokens: The tokens.
        law: The set whose law is meant.
        sums: What is taken of the distributions.
    """
    size = rows_in_memory(architecture.vocabulary, read.device)
    parts: list[tuple[Tensor, ...]] = []
    distributions: list[FloatArray] = []
    for states, chosen in zip(read.split(size), torch.tensor(tokens).split(size), strict=True):
        scores = logits(architecture, states)
        chosen = chosen.to(scores.device)
        at = torch.arange(len(chosen), device=scores.device)
        all_of_them = np.ones(len(chosen), dtype=np.bool_)
        *found, taken = logprobs_and_entropies(scores, scores.argmax(-1), at, chosen, all_of_them, sums)
        laws = torch.full_like(found[0], torch.nan)
        if law is not None:
            heat = torch.full((len(chosen),), law.temperature, dtype=torch.float32, device=scores.device)
            laws = law_logprobs(scores.float(), heat, law.top_k, law.top_p, at, chosen)
        parts.append(tuple(one.cpu() for one in (*found, laws, in_float64(scores[at, chosen]))))
        if sums.any:
            distributions += sums.complete(scores, range(len(chosen)), taken.cpu().numpy())
    columns = [torch.cat(column).numpy() for column in zip(*parts, strict=True)]
    return _Chosen(columns[0], columns[1], columns[2], columns[3], tuple(distributions))


def _greedy(
    architecture: Architecture, answer: GivenAnswer, tokens: Sequence[int], head_states: Tensor, sums: Sums
) -> DecodedAnswer:
    chosen = _chosen(architecture, head_states, tokens, sums=sums)
    return DecodedAnswer(
        tuple(tokens),
        chosen.logprobs,
        chosen.entropies,
        answer.complete,
        distributions=chosen.distributions,
        read=(answer.text, counted_tokens(answer, chosen.logprobs)),
    )


def _as_drawn(one: GivenAnswer, read: DecodedAnswer | None, end: Tensor | None) -> DecodedAnswer:
    """A sample as decoding would have left it; without having been read, it is its tokens that count.

    Args:
        one: The sample.
        read: What the model made of it; ``None`` where it did not read it.
        end: What entered the middle block at the prompt's last token: the state of a sample without tokens.
    """
    if read is not None:
        return replace(read, ended=one.complete, read=(one.text, counted_tokens(one, read.logprobs)))
    logprobs = np.empty(0) if one.logprobs is None else one.logprobs
    unread = DecodedAnswer(
        one.token_ids,
        logprobs,
        np.full(len(logprobs), np.nan),
        one.complete,
        read=(one.text, range(len(one.token_ids))),
    )
    return unread if one.emitted_ids else replace(unread, state=end, laws=np.empty(0), logits=np.empty(0))


def counted_tokens(answer: GivenAnswer, logprobs: FloatArray) -> range:
    """Which of the emitted tokens count.

    Where the tokens that count stand among the emitted ones more than once, as a short answer may stand in the thinking
    before it, the place is the one whose log-probabilities are nearest to those that the engine told; without these it
    is the last place.

    Args:
        answer: The answer.
        logprobs: Log-probability of each emitted token as the model has it.

    >>> thought = GivenAnswer("a", (5,), (5, 9, 5), np.array([-0.25]))
    >>> counted_tokens(thought, np.array([-3.0, -0.5, -0.25]))
    range(2, 3)
    """
    count, emitted = len(answer.token_ids), answer.emitted_ids
    places = [at for at in range(len(emitted) - count + 1) if emitted[at : at + count] == answer.token_ids]
    if not count or not places:
        return range(0)
    told = answer.logprobs
    start = places[-1]
    if len(places) > 1 and told is not None and answer.known:
        start = min(reversed(places), key=lambda at: float(np.abs(logprobs[at : at + count] - told).sum()))
    return range(start, start + count)
