"""From a batch of prompts to the evidence about each of them: decode, gradients, teacher-forced scores.

What needs models of its own (NLI, cross-encoder) is added later, by `uq_harness.similarity`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from uq_harness.cost import Stopwatch
from uq_harness.engine.anatomy import Anatomy
from uq_harness.engine.continuations import ContinuationScorer
from uq_harness.engine.decode import decode_stream
from uq_harness.engine.decoded import Decoded, DecodedAnswer, DecodedPrompt
from uq_harness.engine.gradient_flow import GradientsUnavailable
from uq_harness.engine.gradients import Gradients, gradients
from uq_harness.engine.head import Request
from uq_harness.engine.keep import Keep
from uq_harness.engine.lanes import IntArray
from uq_harness.engine.last_states import last_states, mean_cosine
from uq_harness.engine.layouts import Layout
from uq_harness.engine.prompt import Ending, Prompt
from uq_harness.engine.reference import reference_gradients
from uq_harness.engine.rescore import ROWS
from uq_harness.engine.sample_sets import SampleSets
from uq_harness.engine.texts import conditionals, mean_logprobs
from uq_harness.engine.tied import check_tied, tied_gradients
from uq_harness.engine.trial import Take, Trial
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import (
    Answer,
    AnswersGivenAnswers,
    Conditionals,
    ContinuationLogProb,
    Evidence,
    FloatArray,
    HeadGradient,
    Need,
    RescoredLogProb,
    Sample,
    SampleSet,
    SampleStates,
    StateGradient,
    StateGradientMap,
    StateGradientNorms,
    sample_sets,
)
from uq_harness.memory import Room, in_shrinking_batches

GradientPass = Callable[[Anatomy, Decoded, list[range], IntArray, Request], list[Gradients]]


class Gatherer:
    """Gathers the union of what the chosen methods need; built once per run.

    Args:
        model: The model, in evaluation mode.
        tokenizer: Its tokenizer.
        needs: What the methods need; asking twice for the same costs nothing.
        max_length: The model's context in tokens.
        pad_id: Token that fills the padding.
        seed: Seed of all samples.

    Raises:
        UQHarnessError: The architecture is not understood, a layer span does not fit the model, or a few-shot prefix
            does not fit into the context.
        GradientsUnavailable: The model does not give gradients that are needed.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        needs: Iterable[Need],
        *,
        max_length: int,
        pad_id: int,
        seed: int = 0,
    ) -> None:
        needs = frozenset(needs)
        self._anatomy = Anatomy.of(model)
        self._needs, self._pad_id, self._seed = needs, pad_id, seed
        self._room, self._alone = Room(ROWS), Room(1)
        self._tokenise = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
        self._sets = SampleSets.of(needs)
        self._keep = Keep.of(needs, self._sets)
        self._states = [need for need in needs if isinstance(need, SampleStates)]
        self._rescored = [need for need in needs if isinstance(need, RescoredLogProb)]
        self._conditionals = [need for need in needs if isinstance(need, AnswersGivenAnswers)]
        self._heads = [need for need in needs if isinstance(need, HeadGradient)]
        self._spans = {
            need: need.layers.resolve(self._anatomy.n_blocks)
            for need in needs
            if isinstance(need, StateGradient | StateGradientMap)
        }
        self._positions = sorted({p for need in self._spans for p in getattr(need, "positions", ())})
        self._reach = -min(self._positions, default=0)
        self._scorers = {
            need: ContinuationScorer(self._anatomy, tokenizer, need, max_length, pad_id, self._room)
            for need in needs
            if isinstance(need, ContinuationLogProb)
        }
        self._request = Request(
            head=frozenset(need.reweighted for need in self._heads if not need.tied),
            states=frozenset(need.reweighted for need in self._spans),
            first_block=min((span.start for span in self._spans.values()), default=0),
        )
        self._tied = frozenset(need.reweighted for need in self._heads if need.tied)
        trial = Trial(self._anatomy, tokenizer, pad_id, reach=self._reach, tap=self._tap)
        trial.check_decoding()
        self._layout: Layout = trial.layout() if self._sets.samplers else "copied"
        self._gradients: GradientPass = gradients
        self._check_gradients(trial)
        if self._tied:
            check_tied(self._anatomy)
        if self._spans:
            self._gradients = self._way_that_fits(trial)

    def _check_gradients(self, trial: Trial) -> None:
        """Checks that the model gives the gradients that are needed.

        Raises:
            GradientsUnavailable: It does not.
        """
        problems: dict[str, tuple[type[Need], ...]] = {}
        head = self._anatomy.head
        if self._heads and not self._anatomy.has_dense_head:
            problems[f"its LM head ({head._get_name()}) is quantised, and not a matrix of floats"] = (HeadGradient,)
        if self._tied and (blocked := trial.what_blocks_gradients(0)) is not None:
            problems[blocked] = (HeadGradient,)
        if self._spans:
            blocked = trial.what_blocks_gradients(self._request.first_block)
            if blocked is None and not trial.has_gradients(self._state_gradients(reference_gradients)):
                blocked = "all gradients of a short answer are 0"
            if blocked is not None:
                problems[blocked] = (*problems.get(blocked, ()), StateGradient, StateGradientMap)
        if problems:
            kinds = tuple(kind for some in problems.values() for kind in some)
            raise GradientsUnavailable(kinds, ", and ".join(problems))

    def _way_that_fits(self, trial: Trial) -> GradientPass:
        fast, plain = (self._state_gradients(way) for way in (gradients, reference_gradients))
        return gradients if trial.allows_fast_gradients(fast, plain) else reference_gradients

    def _state_gradients(self, way: GradientPass) -> Take:
        """A way to take the state gradients alone: the head's would take several times the head's memory."""
        return partial(self._take, way, request=replace(self._request, head=frozenset()))

    def check(self, prompts: Sequence[Prompt]) -> None:
        """Checks that every prompt has the positions whose gradients are needed.

        Raises:
            UQHarnessError: One is too short.
        """
        short = [prompt for prompt in prompts if len(prompt.token_ids) < self._reach]
        if short:
            shortest = min(short, key=lambda prompt: len(prompt.token_ids))
            raise UQHarnessError(
                f"gradients at the prompts' last {self._reach} tokens are asked for, but the prompt of "
                f"{shortest.question!r} has {len(shortest.token_ids)}: ask for that many at most"
            )

    def cosine_at_semantic_token(self, prompts: Sequence[Prompt], size: int) -> tuple[float, range] | None:
        """How alike the states are whose gradients are taken, from prompt to prompt.

        Args:
            prompts: Prompts of different questions, at least two.
            size: Number of prompts that go through the model together.

        Returns:
            The mean cosine between prompts, averaged over the layers, and these layers; ``None`` where no gradients at
            the semantic-preserving token are needed.
        """
        spans = [span for need, span in self._spans.items() if isinstance(need, StateGradient)]
        reach = max(-prompt.semantic_token for prompt in prompts)
        long_enough = [prompt for prompt in prompts if len(prompt.token_ids) >= reach]
        if not spans or len(long_enough) < 2:
            return None
        layers = range(min(span.start for span in spans), max(span.stop for span in spans))
        ids = [prompt.token_ids for prompt in long_enough]
        states = last_states(self._anatomy, ids, layers, reach, self._pad_id, size)
        own = [state[:, reach + prompt.semantic_token] for state, prompt in zip(states, long_enough, strict=True)]
        return mean_cosine(torch.stack(own)), layers

    def gather(self, prompts: Sequence[Prompt], ending: Ending) -> list[Evidence]:
        """Answers a batch of prompts and gathers the evidence about each answer.

        Raises:
            UQHarnessError: See `check`.
        """
        ((numbers, evidence),) = self.stream(prompts, ending, len(prompts))
        return [found for _, found in sorted(zip(numbers, evidence, strict=True), key=lambda pair: pair[0])]

    def stream(
        self, prompts: Sequence[Prompt], ending: Ending, size: int
    ) -> Iterator[tuple[list[int], list[Evidence]]]:
        """Answers any number of prompts and gathers the evidence about each answer.

        Args:
            prompts: The prompts, best sorted by length.
            ending: How answers end.
            size: Number of prompts that go through the model together.

        Yields:
            Batches of at most ``size`` prompts by their positions, in the order in which their answers end, and the
            evidence about them.

        Raises:
            UQHarnessError: See `check`.
        """
        self.check(prompts)
        finished: list[DecodedPrompt] = []
        for some in self._decode(prompts, ending, size):
            finished += some
            some.clear()  # what it holds shall go as soon as it has been read
            while len(finished) >= size:
                yield self._evidence(prompts, finished, size, ending)
        if finished:
            yield self._evidence(prompts, finished, size, ending)

    def _evidence(
        self, prompts: Sequence[Prompt], finished: list[DecodedPrompt], size: int, ending: Ending
    ) -> tuple[list[int], list[Evidence]]:
        """The evidence about the first few of the finished answers, which are taken away: their caches are large."""
        numbers = [one.number for one in finished[:size]]
        prompts = [prompts[number] for number in numbers]
        decoding = [{"decode_seconds": one.seconds, "row_steps": one.row_steps} for one in finished[:size]]
        decoded = Decoded.of(finished[:size], self._pad_id, self._anatomy.input_device)
        del finished[:size]
        watch = Stopwatch(len(prompts))
        answers, scored = self._answers(decoded, ending)
        sets = [self._sets.divide(self._sampled(drawn, ending)) for drawn in decoded.samples]
        missing = frozenset(
            need for need in self._needs if any(one not in found for one in sample_sets([need]) for found in sets)
        )
        states = [self._stacked(drawn) for drawn in decoded.samples]
        with watch.stage("gradients") as divide:
            found = self._found_gradients(decoded, scored, prompts) if self._heads or self._spans else []
            divide([len(tokens) for tokens in scored])
        with watch.stage("scoring") as divide:
            rescored = {need: self._rescore(need, decoded, sets) for need in self._rescored if need not in missing}
            again = [sum(len({s.text for s in one[need.samples]}) for need in rescored) for one in sets]
            divide(again)
        del decoded  # its caches would only be in the way of the scorers
        with watch.stage("scoring") as divide:
            conditional = {
                need: self._condition(need, prompts, sets) for need in self._conditionals if need not in missing
            }
            stated = [sum(one[row].texts_scored for one in conditional.values()) for row in range(len(prompts))]
            divide(stated)
        with watch.stage("scoring"):
            pairs = [(prompt.question, answer.text) for prompt, answer in zip(prompts, answers, strict=True)]
            continuations = {need: scorer(pairs) for need, scorer in self._scorers.items()}
        return numbers, [
            Evidence(
                question=prompt.question,
                answer=answers[row],
                semantic_token=prompt.semantic_token,
                semantic_text=prompt.semantic_text,
                **(self._gradient_evidence(found[row]) if found else {}),
                continuations={need: scores[row] for need, scores in continuations.items()},
                samples=sets[row],
                states=states[row],
                rescored={need: scores[row] for need, scores in rescored.items()},
                conditionals={need: answers_given[row] for need, answers_given in conditional.items()},
                missing=missing,
                cost={
                    **decoding[row],
                    **watch.shares[row],
                    "scored_texts": again[row] + stated[row] + len(continuations),
                },
            )
            for row, prompt in enumerate(prompts)
        ]

    def gather_apart(self, prompt: Prompt, ending: Ending) -> Evidence:
        """Gathers the evidence about a question that memory does not hold with all its samples at once.

        Samples do not depend on what shares a pass, so each set is drawn apart. One that does not fit even so is
        absent, and the needs that name it are missing.

        Raises:
            BaseException: Memory does not even hold the answer alone.
        """
        self.check([prompt])
        ((decoded,),) = self._decode([prompt], ending, 1, samplers=())
        drawn = in_shrinking_batches(
            partial(self._draw, prompt, ending), self._sets.samplers, self._alone, lambda _: {}
        )
        for _, samples in drawn:
            decoded.samples.update(samples)
        return self._evidence([prompt], [decoded], 1, ending)[1][0]

    def _draw(
        self, prompt: Prompt, ending: Ending, samplers: Sequence[SampleSet]
    ) -> dict[SampleSet, list[DecodedAnswer]]:
        ((decoded,),) = self._decode([prompt], ending, 1, samplers=samplers)
        return decoded.samples

    def undefined(self, prompt: Prompt) -> Evidence:
        """The evidence about a question that memory does not hold: no answer, and every need missing."""
        return Evidence(
            question=prompt.question,
            answer=Answer("", (), np.empty(0), np.empty(0), complete=False),
            semantic_token=prompt.semantic_token,
            semantic_text=prompt.semantic_text,
            **self._gradient_evidence(self._unknown_gradients()),
            missing=self._needs,
        )

    def _found_gradients(self, decoded: Decoded, scored: list[range], prompts: Sequence[Prompt]) -> list[Gradients]:
        """The gradients of some answers; those of a single one are ``nan`` where memory does not hold them."""
        work = partial(self._all_gradients, decoded, scored)
        if len(prompts) > 1:  # a smaller batch may do, and is begun anew
            return work(prompts)
        ((_, found),) = in_shrinking_batches(work, prompts, self._alone, lambda _: [self._unknown_gradients()])
        return found

    def _all_gradients(self, decoded: Decoded, scored: list[range], prompts: Sequence[Prompt]) -> list[Gradients]:
        found = self._take(self._gradients, decoded, scored, prompts)
        if not self._tied:
            return found
        tied = tied_gradients(self._anatomy, decoded, scored, self._tied)
        return [replace(one, tied=of_matrix) for one, of_matrix in zip(found, tied, strict=True)]

    def _unknown_gradients(self) -> Gradients:
        shape = (self._anatomy.n_blocks - self._request.first_block, 1 + len(self._positions))
        unknown = StateGradientNorms(np.full(shape, np.nan), np.full(shape, np.nan))
        nan = float("nan")
        return Gradients(
            head=dict.fromkeys(self._request.head, nan),
            states=dict.fromkeys(self._request.states, unknown),
            tied=dict.fromkeys(self._tied, nan),
        )

    def _gradient_evidence(self, found: Gradients) -> dict[str, Any]:
        """The fields of the evidence about an answer that hold its gradients."""
        return {
            "head_gradients": {
                need: (found.tied if need.tied else found.head)[need.reweighted] for need in self._heads
            },
            "state_gradients": {
                need: self._part(found, need, 0) for need in self._spans if isinstance(need, StateGradient)
            },
            "state_gradient_maps": {
                need: self._part(found, need, [1 + self._positions.index(p) for p in need.positions])
                for need in self._spans
                if isinstance(need, StateGradientMap)
            },
        }

    def _answers(self, decoded: Decoded, ending: Ending) -> tuple[list[Answer], list[range]]:
        raw = [row[:n] for row, n in zip(decoded.token_ids.tolist(), decoded.lengths, strict=True)]
        read = [ending.read(tokens) for tokens in raw]
        answers = [
            Answer(
                text=text,
                token_ids=tuple(raw[row][scored.start : scored.stop]),
                logprobs=decoded.logprobs[row, scored.start : scored.stop].cpu().numpy(),
                entropies=decoded.entropies[row, scored.start : scored.stop].cpu().numpy(),
                complete=decoded.ended[row],
            )
            for row, (text, scored) in enumerate(read)
        ]
        return answers, [scored for _, scored in read]

    def _sampled(
        self, drawn: Mapping[SampleSet, Sequence[DecodedAnswer]], ending: Ending
    ) -> dict[SampleSet, list[Sample]]:
        """The drawn answers with their texts, cut where the greedy answer would be cut."""
        return {sampler: [self._sample(one, ending) for one in answers] for sampler, answers in drawn.items()}

    def _sample(self, one: DecodedAnswer, ending: Ending) -> Sample:
        text, counted = ending.read(list(one.token_ids))
        return Sample(
            text=text,
            token_ids=tuple(one.token_ids[counted.start : counted.stop]),
            logprobs=np.asarray(one.logprobs[counted.start : counted.stop], dtype=np.float64),
            complete=one.ended,
            sampled_logprobs=None if one.laws is None else one.laws[counted.start : counted.stop],
        )

    def _stacked(self, drawn: Mapping[SampleSet, Sequence[DecodedAnswer]]) -> dict[SampleStates, FloatArray]:
        """The hidden states of the sets whose states are needed."""
        sets = self._sets.divide(drawn)
        return {
            need: torch.stack([one.state for one in sets[need.samples] if one.state is not None]).double().numpy()
            for need in self._states
            if need.samples in sets
        }

    def _rescore(
        self, need: RescoredLogProb, decoded: Decoded, sets: list[dict[SampleSet, tuple[Sample, ...]]]
    ) -> list[FloatArray]:
        return mean_logprobs(
            self._anatomy,
            decoded.prefill,
            [[sample.text for sample in one[need.samples]] for one in sets],
            self._tokenise,
            temperature=need.temperature,
            pad_id=self._pad_id,
            room=self._room,
        )

    def _condition(
        self,
        need: AnswersGivenAnswers,
        prompts: Sequence[Prompt],
        sets: list[dict[SampleSet, tuple[Sample, ...]]],
    ) -> list[Conditionals]:
        return conditionals(
            self._anatomy,
            [one[need.samples] for one in sets],
            [partial(prompt.stating, words=need.prompt) for prompt in prompts],
            self._tokenise,
            threshold=need.threshold,
            pad_id=self._pad_id,
            room=self._room,
            sampled=need.sampled,
        )

    def _decode(
        self, prompts: Sequence[Prompt], ending: Ending, size: int, samplers: Sequence[SampleSet] | None = None
    ) -> Iterator[list[DecodedPrompt]]:
        return decode_stream(
            self._anatomy,
            [prompt.token_ids for prompt in prompts],
            size=size,
            samplers=self._sets.samplers if samplers is None else samplers,
            end_ids=ending.end_ids,
            pad_id=self._pad_id,
            max_new_tokens=ending.max_new_tokens,
            stops=ending.stops,
            keep=self._keep,
            tap=self._tap,
            tap_from=min(-self._reach, *(prompt.semantic_token for prompt in prompts)),
            seed=self._seed,
            layout=self._layout,
        )

    @property
    def _tap(self) -> int | None:
        """The block whose inputs the gradient pass starts from."""
        return self._request.first_block if self._spans else None

    def _take(
        self,
        way: GradientPass,
        decoded: Decoded,
        scored: list[range],
        prompts: Sequence[Prompt],
        request: Request | None = None,
    ) -> list[Gradients]:
        positions = np.array([[prompt.semantic_token, *self._positions] for prompt in prompts])
        return way(self._anatomy, decoded, scored, decoded.prompt_ids.shape[1] + positions, request or self._request)

    def _part(
        self, gradients: Gradients, need: StateGradient | StateGradientMap, columns: int | list[int]
    ) -> StateGradientNorms:
        """The layers that a need asks for, at one column (``[layers]``) or several (``[layers, columns]``)."""
        norms, span = gradients.states[need.reweighted], self._spans[need]
        layers = slice(span.start - self._request.first_block, span.stop - self._request.first_block)
        return StateGradientNorms(norms.absolute[layers, columns], norms.squared[layers, columns])
