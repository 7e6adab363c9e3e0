"""The transformers engine as a backend: decodes answers, takes gradients, scores texts again, batch by batch.

What needs models of its own (NLI, cross-encoder) is added later, by `uq_harness.similarity`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch.nn.modules.dropout import _DropoutNd
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from uq_harness.backends.further_turn import check_turns, conversation, missing_template
from uq_harness.backends.transformers.answer_attention import AnswerInPrompt, answer_attention
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.assemble import (
    Answers,
    Columns,
    distribution_columns,
    evidence_of,
    gradient_columns,
    self_attention_columns,
)
from uq_harness.backends.transformers.attention_sink import AttentionSinkCheck
from uq_harness.backends.transformers.conditionals import TEXTS, conditionals
from uq_harness.backends.transformers.decode import decode_stream
from uq_harness.backends.transformers.decoded import Decoded, DecodedAnswer, DecodedPrompt
from uq_harness.backends.transformers.distributions import missing_of_vocabulary
from uq_harness.backends.transformers.gradients import Gradients, gradients
from uq_harness.backends.transformers.head import Request
from uq_harness.backends.transformers.last_states import last_states, mean_cosine
from uq_harness.backends.transformers.parts import PartsWatch, add_parts, by_needs
from uq_harness.backends.transformers.plan import KINDS, Plan
from uq_harness.backends.transformers.prefixes import Layout
from uq_harness.backends.transformers.reference import reference_gradients
from uq_harness.backends.transformers.replies import replies
from uq_harness.backends.transformers.self_attention import ReadableBlocks, SelfAttentionReader
from uq_harness.backends.transformers.self_check import SelfCheck
from uq_harness.backends.transformers.sequences import IntArray
from uq_harness.backends.transformers.teacher_forcing import (
    ROWS,
    ContinuationScorer,
    Told,
    mean_logprobs,
    unconditional_logprobs,
)
from uq_harness.backends.transformers.tied import tied_gradients, what_is_not_tied
from uq_harness.batching import Room, in_shrinking_batches, in_shrinking_streams, is_out_of_memory, lock_of, release
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import (
    Answer,
    AnswerAttention,
    AnswerLogProbs,
    AnswersGivenAnswers,
    ConfidenceReply,
    ContinuationLogProb,
    Evidence,
    HeadGradient,
    LikeliestTokens,
    Need,
    RescoredLogProb,
    SampleSet,
    SelfAttention,
    StateGradient,
    StateGradientMap,
    TokenStatistic,
    UnconditionalLogProbs,
    VocabularySize,
)
from uq_harness.evidence.backend import ReadPrompt
from uq_harness.evidence.cost import ANSWER, Stage, Stopwatch
from uq_harness.evidence.prompt import Prompt, StopCriteria

GradientPass = Callable[[Architecture, Decoded, list[range], IntArray, Request], list[Gradients]]
# The way out where a model gives no gradients.
WITHOUT_QUANTISATION = (
    "load the model in float32, bfloat16 or float16 without quantised kernels, or with another attention "
    "(attn_implementation=eager)"
)


class TransformersBackend:
    """A causal language model of transformers; threads may share it.

    Args:
        model: The model, in evaluation mode.
        tokenizer: Its tokenizer.
        max_length: The model's context in tokens.
        pad_id: Token that fills the padding.
        seed: Seed of all samples.
        mixed_precision: The type of mixed precision; ``None`` for none.
        batch_invariant: Whether prompts go through the model one at a time, whatever the batch size, so that no answer
            depends on it even in 16-bit types.
        device: The device of mixed precision; where the model takes its input if absent.

    Attributes:
        special_ids: See the function of this name.

    Raises:
        UQHarnessError: The architecture is not understood, or the model is in training mode.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int,
        pad_id: int,
        seed: int = 0,
        mixed_precision: torch.dtype | None = None,
        batch_invariant: bool = False,
        device: torch.device | None = None,
    ) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._max_length, self._pad_id, self._seed = max_length, pad_id, seed
        self._mixed_precision, self._batch_invariant = mixed_precision, batch_invariant
        self.special_ids = special_ids(tokenizer)
        # of the decoder, since a model and an adapter around it have the same one
        self._lock = lock_of(model.get_decoder() or model)
        with self._lock, torch.inference_mode(False):
            check_evaluation_mode(model)
            self._architecture = Architecture.of(model)
        self._device = device or self._architecture.input_device
        self._plan = Plan((), self._architecture.n_blocks)
        self._scorers: dict[ContinuationLogProb, ContinuationScorer] = {}
        self._layout: Layout = "copied"
        self._room, self._stated, self._alone = Room(ROWS), Room(TEXTS), Room(1)
        self._gradients: GradientPass = gradients
        self._blocked: dict[tuple[int, bool], str | None] = {}
        self._reader: SelfAttentionReader | None = None
        self._grading_reader: SelfAttentionReader | None = None
        self._sinks = AttentionSinkCheck(tokenizer.bos_token_id)

    def missing(self, need: Need[Any]) -> str | None:
        """What is missing for a need; a quantised head has no gradient, for instance. ``None`` for nothing.

        Raises:
            UQHarnessError: No score of this model would be an answer's own.
        """
        if not isinstance(need, KINDS):
            return f"no evidence of the kind {type(need).__name__} in the transformers engine"
        if isinstance(need, ConfidenceReply):
            return missing_template(self._tokenizer)
        if isinstance(need, SelfAttention):
            return self._readable if isinstance(self._readable, str) else None
        if isinstance(need, AnswerAttention):
            return self._readable_anywhere if isinstance(self._readable_anywhere, str) else None
        if isinstance(need, TokenStatistic | LikeliestTokens):
            return missing_of_vocabulary(need, self._architecture.vocabulary)
        if isinstance(need, HeadGradient) and not self._architecture.has_dense_head:
            head = self._architecture.head._get_name()
            return f"its LM head ({head}) is quantised, and not a matrix of floats: {WITHOUT_QUANTISATION}"
        if isinstance(need, HeadGradient) and need.tied:
            with self._working():
                what = what_is_not_tied(self._architecture)
            return what or self._what_blocks(Plan((need,), self._architecture.n_blocks), 0)
        if isinstance(need, StateGradient | StateGradientMap) and need.layers.fits(self._architecture.n_blocks):
            plan = Plan((need,), self._architecture.n_blocks)
            return self._what_blocks(plan, plan.gradients.first_block)
        return None

    def prepare(self, needs: Sequence[Need[Any]]) -> None:
        """Plans the passes that serve some needs, and tries them out on a few tokens.

        Raises:
            UQHarnessError: A layer span does not fit the model, a few-shot prefix does not fit into the context, the
                model's attention weights cannot be read, or this version of transformers treats caches or masks in
                some new way.
        """
        self._plan = plan = Plan(tuple(dict.fromkeys(needs)), self._architecture.n_blocks)
        self._scorers = {
            need: ContinuationScorer(
                self._architecture, self._tokenizer, need, self._max_length, self._pad_id, self._room
            )
            for need in plan.of_kind(ContinuationLogProb)
        }
        self._reader = self._reader_for(plan.of_kind(SelfAttention))
        self._grading_reader = self._grading_reader_for(plan.of_kind(AnswerAttention))
        with self._working():
            check = self._self_check(plan)
            check.check_decoding()
            self._layout = check.layout() if plan.sets.samplers else "copied"
            ways = [partial(_take_states, self._architecture, plan, way) for way in (gradients, reference_gradients)]
            fast = not plan.spans or check.allows_fast_gradients(*ways)
            self._gradients = gradients if fast else reference_gradients

    def gather(
        self, prompts: Sequence[Prompt], stop: StopCriteria, size: int
    ) -> Iterator[tuple[list[int], list[Evidence]]]:
        """See `Backend.gather`; a batch halves where memory runs out.

        Of a question that memory does not hold alone, what does not fit is undefined, in the end the answer itself.

        Raises:
            UQHarnessError: A prompt does not have a position whose gradients are needed, the chat template does not
                write the turn that asks about an answer, or the model has been put into training mode.
        """
        self._check(prompts)
        room = Room(1 if self._batch_invariant else size, "its samples are drawn one set at a time")
        with self._working():
            self._sinks.look(prompts, room.size, self._cosine_at_semantic_token)

        def work(rows: Sequence[int], size: int) -> Iterator[tuple[list[int], list[Evidence] | None]]:
            stream = self._stream([prompts[row] for row in rows], stop, size)
            while True:
                with self._working():
                    found = next(stream, None)
                if found is None:
                    return
                yield found

        too_large: list[int] = []
        for rows, evidence in in_shrinking_streams(work, range(len(prompts)), room, lambda _: None):
            if evidence is None:
                too_large += rows
            else:
                yield list(rows), evidence
        answered = len(too_large) < len(prompts)
        for row in too_large:
            yield [row], [self._gather_apart(prompts[row], stop, essential=not answered)]
            answered = True

    def read_prompts(self, prompts: Sequence[str], continuation: str) -> list[ReadPrompt]:
        """See `FurtherPrompts`; ``nan`` where prompt and continuation do not fit into the context, or into memory."""
        need = ContinuationLogProb(prefix="", prompt=lambda prompt, _: prompt, continuation=continuation)
        room = self._alone if self._batch_invariant else self._room
        watch = Stopwatch(len(prompts))
        with self._working(), watch.stage("scoring"):
            score = ContinuationScorer(self._architecture, self._tokenizer, need, self._max_length, self._pad_id, room)
            found = score([(prompt, "") for prompt in prompts])
        return [
            ReadPrompt(logprob, {**cost, "scored_texts": 1}) for logprob, cost in zip(found, watch.shares, strict=True)
        ]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of an answer's tokens, special ones left out."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def describe(self) -> dict[str, Any]:
        """Whether answers depend on the batch."""
        return {"batch_invariant": self._batch_invariant}

    @cached_property
    def _readable(self) -> ReadableBlocks | str:
        """The blocks whose attention weights can be read, or why there are none."""
        with self._working():
            return ReadableBlocks.find(self._architecture, self._max_length)

    @cached_property
    def _readable_anywhere(self) -> ReadableBlocks | str:
        """The same, not only in the middle third."""
        with self._working():
            blocks = range(self._architecture.n_blocks)
            return ReadableBlocks.find(self._architecture, self._max_length, blocks)

    def _reader_for(self, needs: Sequence[SelfAttention]) -> SelfAttentionReader | None:
        return _there(self._readable).reader(self._architecture, needs) if needs else None

    def _grading_reader_for(self, needs: Sequence[AnswerAttention]) -> SelfAttentionReader | None:
        return _there(self._readable_anywhere).reader(self._architecture) if needs else None

    def _what_blocks(self, plan: Plan, first_block: int) -> str | None:
        """What keeps a plan's gradients from the blocks from a given one on, and the way out; asked once for each."""
        key = first_block, bool(plan.spans)
        if key not in self._blocked:
            self._blocked[key] = self._what_blocks_gradients(plan, first_block)
        blocked = self._blocked[key]
        return None if blocked is None else f"{blocked}: {WITHOUT_QUANTISATION}"

    def _what_blocks_gradients(self, plan: Plan, first_block: int) -> str | None:
        with self._working():
            check = self._self_check(plan)
            check.check_decoding()
            blocked = check.what_blocks_gradients(first_block)
            if (
                blocked is None
                and plan.spans
                and not check.has_gradients(partial(_take_states, self._architecture, plan, reference_gradients))
            ):
                return "all gradients of a short answer are 0"
            return blocked

    def _self_check(self, plan: Plan) -> SelfCheck:
        return SelfCheck(
            self._architecture,
            self._tokenizer,
            self._pad_id,
            n_positions=plan.n_positions,
            captured_block=plan.captured_block,
        )

    def _check(self, prompts: Sequence[Prompt]) -> None:
        """Checks that every prompt has the positions whose gradients are needed, and can be gone on with.

        Raises:
            UQHarnessError: One is too short, or the chat template does not write the turn that asks about an answer.
        """
        check_turns(prompts, self._plan.of_kind(ConfidenceReply))
        short = [prompt for prompt in prompts if len(prompt.token_ids) < self._plan.n_positions]
        if short:
            shortest = min(short, key=lambda prompt: len(prompt.token_ids))
            raise UQHarnessError(
                f"gradients at the prompts' last {self._plan.n_positions} tokens are asked for, but the prompt of "
                f"{shortest.question!r} has {len(shortest.token_ids)}: ask for that many at most"
            )

    def _stream(
        self, prompts: Sequence[Prompt], stop: StopCriteria, size: int
    ) -> Iterator[tuple[list[int], list[Evidence]]]:
        """Batches of at most ``size`` prompts, in the order in which their answers end."""
        finished: list[DecodedPrompt] = []
        for some in self._decode(prompts, stop, size):
            finished += some
            some.clear()  # frees what it holds as soon as it has been read
            while len(finished) >= size:
                yield self._evidence(prompts, finished, size, stop)
        if finished:
            yield self._evidence(prompts, finished, size, stop)

    def _gather_apart(self, prompt: Prompt, stop: StopCriteria, essential: bool) -> Evidence:
        """The evidence about a question that memory does not hold with all its samples at once.

        Samples do not depend on what shares a pass, so each set is drawn apart. One that does not fit even so is
        undefined, and so is what reads it.

        Args:
            prompt: The question's prompt.
            stop: How answers end.
            essential: Whether it is an error if memory does not hold an answer at all: where no question has been
                answered, going on would be of no use.
        """
        try:
            with self._working():
                ((decoded,),) = self._decode([prompt], stop, 1, samplers=())
                draw = partial(self._draw, prompt, stop)
                samplers = self._plan.sets.samplers
                for _, samples in in_shrinking_batches(draw, samplers, self._alone, lambda _: {}):
                    decoded.samples.update(samples)
                evidence = self._evidence([prompt], [decoded], 1, stop)[1][0]
        except (RuntimeError, MemoryError) as error:
            if essential or not is_out_of_memory(error):
                raise
            evidence = self._undefined(prompt)
        release()
        return evidence

    def _undefined(self, prompt: Prompt) -> Evidence:
        """The evidence about a question that memory does not hold: no answer, and nothing defined."""
        answer = Answer("", (), np.empty(0), np.empty(0), complete=False)
        return Evidence(
            prompt.question,
            answer,
            undefined=frozenset([AnswerLogProbs(), *self._plan.needs]),
            semantic_token=prompt.semantic_token,
            semantic_text=prompt.semantic_text,
        )

    def _draw(
        self, prompt: Prompt, stop: StopCriteria, samplers: Sequence[SampleSet]
    ) -> dict[SampleSet, list[DecodedAnswer]]:
        ((decoded,),) = self._decode([prompt], stop, 1, samplers=samplers)
        return decoded.samples

    def _decode(
        self,
        prompts: Sequence[Prompt],
        stop: StopCriteria,
        size: int,
        samplers: Sequence[SampleSet] | None = None,
    ) -> Iterator[list[DecodedPrompt]]:
        return decode_stream(
            self._architecture,
            [prompt.token_ids for prompt in prompts],
            size=size,
            samplers=self._plan.sets.samplers if samplers is None else samplers,
            end_ids=stop.end_ids,
            pad_id=self._pad_id,
            max_new_tokens=stop.max_new_tokens,
            stops=stop.stops,
            kept=self._plan.kept,
            captured_block=self._plan.captured_block,
            captured_from=min(-self._plan.n_positions, *(prompt.semantic_token for prompt in prompts)),
            seed=self._seed,
            layout=self._layout,
            reader=self._reader,
            sets=self._plan.sets.wanted,
        )

    def _evidence(
        self, prompts: Sequence[Prompt], finished: list[DecodedPrompt], size: int, stop: StopCriteria
    ) -> tuple[list[int], list[Evidence]]:
        """The evidence about the first few of the finished answers, which are taken away: their caches are large."""
        numbers = [one.number for one in finished[:size]]
        prompts = [prompts[number] for number in numbers]
        decoding = [_decoding_cost(one) for one in finished[:size]]
        drawing = [one.seconds_of_sets for one in finished[:size]]
        decoded = Decoded.of(finished[:size], self._pad_id, self._architecture.input_device)
        del finished[:size]
        answers = Answers.read(decoded, stop, self._plan)
        columns = answers.columns(self._plan) | self._attention_columns(decoded, answers)
        columns |= {need: [self._architecture.vocabulary] * len(prompts) for need in self._plan.of_kind(VocabularySize)}
        columns |= distribution_columns(decoded, answers, self._plan, self._architecture.vocabulary)
        watch = Stopwatch(len(prompts))
        with watch.stage("gradients") as stage:
            columns |= self._gradient_columns(decoded, answers, prompts, stage)
            stage.divide([len(counted) for counted in answers.counted])
        with watch.stage("scoring") as stage:
            again, rescored = self._rescored(decoded, answers, stage)
            columns |= again
            stage.divide(rescored)
        with watch.stage("scoring") as stage:
            asked = self._replies(prompts, decoded, answers, stop, stage)
            columns |= asked
            stage.divide([len(prompt.token_ids) for prompt in prompts])
        del decoded  # its caches would only be in the way of the scorers
        with watch.stage("scoring") as stage:
            conditional = self._conditional(prompts, answers, stage)
            columns |= conditional
            stated = [sum(one[row].texts_scored for one in conditional.values()) for row in range(len(prompts))]
            stage.divide(stated)
        with watch.stage("scoring") as stage:
            columns |= self._continuations(prompts, answers, stage)
        with watch.stage("scoring") as stage:
            alone = self._unconditional(answers)
            columns |= alone
            stage.divide([len(counted) for counted in answers.counted])
            stage.among([{frozenset(alone): 1.0} if alone else {}] * len(prompts))
        with watch.stage("scoring") as stage:
            graded = self._graded(prompts, answers, stage)
            columns |= graded
        costs = [
            {
                **decoding[row],
                **watch.shares[row],
                "scored_texts": rescored[row] + stated[row] + len([*self._scorers, *alone, *graded, *asked]),
            }
            for row in range(len(prompts))
        ]
        seconds = [{**drawn, **read} for drawn, read in zip(drawing, watch.seconds, strict=True)]
        return numbers, evidence_of(prompts, answers, columns, costs, seconds, self._plan)

    def _attention_columns(self, decoded: Decoded, answers: Answers) -> Columns:
        if self._reader is None or isinstance(self._readable, str):
            return {}
        return self_attention_columns(decoded, answers, self._plan, self._reader.blocks, self._readable)

    def _gradient_columns(self, decoded: Decoded, answers: Answers, prompts: Sequence[Prompt], stage: Stage) -> Columns:
        wanted = self._plan.gradients
        if not wanted.head and not wanted.states and not self._plan.tied:
            return {}
        take = partial(self._take_all, decoded, answers.counted)
        if len(prompts) > 1:  # a smaller batch may do, and starts from the beginning
            each: Sequence[Gradients | None] = take(prompts)
        else:
            ((_, found),) = in_shrinking_batches(take, prompts, self._alone, lambda _: [])
            each = found or [None]
        stage.among([{} if one is None else by_needs(one.seconds, self._plan.gradient_needs) for one in each])
        return gradient_columns(each, self._plan)

    def _take_all(self, decoded: Decoded, counted: list[range], prompts: Sequence[Prompt]) -> list[Gradients]:
        wanted, tied = self._plan.gradients, self._plan.tied
        found = _take(self._architecture, self._plan, self._gradients, wanted, decoded, counted, prompts)
        if not tied:
            return found
        watch = PartsWatch()
        of_matrix = tied_gradients(self._architecture, decoded, counted, tied)
        watch.took("tied", None)
        for one in found:
            add_parts(one.seconds, watch.seconds, 1 / len(found))
        return [replace(one, tied=both) for one, both in zip(found, of_matrix, strict=True)]

    def _cosine_at_semantic_token(self, prompts: Sequence[Prompt], size: int) -> tuple[float, range] | None:
        """How alike the states are whose gradients are taken, from prompt to prompt.

        Args:
            prompts: Prompts of different questions, at least two.
            size: Number of prompts that go through the model together.

        Returns:
            The mean cosine between prompts, averaged over the layers, and these layers; ``None`` where no gradients at
            the semantic-preserving token are needed.
        """
        spans = [span for need, span in self._plan.spans.items() if isinstance(need, StateGradient)]
        count = max(-prompt.semantic_token for prompt in prompts)
        long_enough = [prompt for prompt in prompts if len(prompt.token_ids) >= count]
        if not spans or len(long_enough) < 2:
            return None
        layers = range(min(span.start for span in spans), max(span.stop for span in spans))
        ids = [prompt.token_ids for prompt in long_enough]
        states = last_states(self._architecture, ids, layers, count, self._pad_id, size)
        own = [state[:, count + prompt.semantic_token] for state, prompt in zip(states, long_enough, strict=True)]
        return mean_cosine(torch.stack(own)), layers

    def _rescored(self, decoded: Decoded, answers: Answers, stage: Stage) -> tuple[Columns, list[int]]:
        """Texts that are scored again, and for each prompt how many of them had to be read."""
        columns: Columns = {}
        counts = [0] * len(answers.samples)
        for need in stage.each(self._plan.of_kind(RescoredLogProb)):
            if answers.have(need.samples):
                columns[need], read = mean_logprobs(
                    self._architecture,
                    decoded.prefill,
                    [[sample.text for sample in drawn[need.samples]] for drawn in answers.samples],
                    self._tokenise,
                    temperature=need.temperature,
                    pad_id=self._pad_id,
                    told=[_told(need, drawn, self._plan) for drawn in decoded.samples],
                    max_length=self._max_length,
                    room=self._room,
                )
                counts = [count + more for count, more in zip(counts, read, strict=True)]
        return columns, counts

    def _replies(
        self, prompts: Sequence[Prompt], decoded: Decoded, answers: Answers, stop: StopCriteria, stage: Stage
    ) -> Columns:
        columns: Columns = {}
        for need in stage.each(self._plan.of_kind(ConfidenceReply)):
            asked = [
                conversation(prompt, answer.text, need, self._max_length)
                for prompt, answer in zip(prompts, answers.greedy, strict=True)
            ]
            written = replies(
                self._architecture,
                decoded.prefill,
                [prompt.token_ids for prompt in prompts],
                asked,
                end_ids=stop.end_ids,
                max_tokens=need.max_tokens,
                pad_id=self._pad_id,
                room=self._room,
            )
            columns[need] = [
                None if ids is None or tokens is None else stop.reply(ids, tokens, ended=False)
                for ids, tokens in zip(asked, written, strict=True)
            ]
        return columns

    def _conditional(self, prompts: Sequence[Prompt], answers: Answers, stage: Stage) -> Columns:
        return {
            need: conditionals(
                self._architecture,
                [drawn[need.samples] for drawn in answers.samples],
                [partial(prompt.stating, words=need.prompt) for prompt in prompts],
                self._tokenise,
                threshold=need.threshold,
                pad_id=self._pad_id,
                most=need.most,
                max_length=self._max_length,
                room=self._stated,
                copies=self._room,
                sampled=need.sampled,
                layout=self._layout,
            )
            for need in stage.each(self._plan.of_kind(AnswersGivenAnswers))
            if answers.have(need.samples)
        }

    def _continuations(self, prompts: Sequence[Prompt], answers: Answers, stage: Stage) -> Columns:
        columns: Columns = {}
        for need in stage.each(self._scorers):
            if need.samples is not None and not answers.have(need.samples):
                continue
            drawn = [() if need.samples is None else one[need.samples] for one in answers.samples]
            columns[need] = self._scorers[need](
                [
                    (need.question(prompt.question, some), answer.text)
                    for prompt, answer, some in zip(prompts, answers.greedy, drawn, strict=True)
                ]
            )
        return columns

    def _unconditional(self, answers: Answers) -> Columns:
        needs = self._plan.of_kind(UnconditionalLogProbs)
        if not needs:
            return {}
        bos = self._tokenizer.bos_token_id
        tokens = [answer.token_ids or () for answer in answers.greedy]
        found = unconditional_logprobs(self._architecture, tokens, bos, pad_id=self._pad_id, room=self._room)
        return dict.fromkeys(needs, found)

    def _graded(self, prompts: Sequence[Prompt], answers: Answers, stage: Stage) -> Columns:
        if self._grading_reader is None:
            return {}
        given = [(prompt.question, one.token_ids or ()) for prompt, one in zip(prompts, answers.greedy, strict=True)]
        return {
            need: answer_attention(
                self._architecture,
                self._grading_reader,
                [AnswerInPrompt.of(need, *pair, self._encode, self.special_ids) for pair in given],
                max_length=self._max_length,
                pad_id=self._pad_id,
                room=self._room,
            )
            for need in stage.each(self._plan.of_kind(AnswerAttention))
        }

    def _tokenise(self, text: str) -> list[int]:
        return self._encode(text, special=False)

    def _encode(self, text: str, special: bool) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=special)["input_ids"]
        return ids

    @contextmanager
    def _working(self) -> Iterator[None]:
        """While the model works: alone, in evaluation mode, and with autograd to be had whatever the caller has set.

        Raises:
            UQHarnessError: The model is in training mode, or was put into it meanwhile.
        """
        precision, device = self._mixed_precision, self._device.type
        with (
            self._lock,
            torch.inference_mode(False),
            torch.no_grad(),
            torch.autocast(device, precision, enabled=precision is not None),
        ):
            check_evaluation_mode(self._model)
            yield
            check_evaluation_mode(self._model)


def _there(readable: ReadableBlocks | str) -> ReadableBlocks:
    if isinstance(readable, str):
        raise UQHarnessError(f"the model does not have what was asked for: {readable}")
    return readable


def special_ids(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The tokens that an answer's text does not show, also those that have no name in the tokenizer's settings.

    Gemma's end of a turn is one of them.
    """
    added = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset(tokenizer.all_special_ids) | added


def check_evaluation_mode(model: PreTrainedModel) -> None:
    """Refuses a model in training mode.

    Raises:
        UQHarnessError: It is, or a part of it.
    """
    if any(_drops(module) for module in model.modules()):
        raise UQHarnessError("the model is in training mode, where dropout changes answers: call model.eval() first")


def _drops(module: torch.nn.Module) -> bool:
    """Whether a module is in training mode, and one to which that matters: layers of quantised weights are neither."""
    matters = isinstance(module, PreTrainedModel | _DropoutNd) or getattr(module, "attention_dropout", False)
    return module.training and bool(matters)


def _decoding_cost(one: DecodedPrompt) -> dict[str, float]:
    answer = one.seconds - sum(one.seconds_of_sets.values())
    return {"decode_seconds": one.seconds, ANSWER: answer, "row_steps": one.row_steps}


def _take(
    architecture: Architecture,
    plan: Plan,
    way: GradientPass,
    wanted: Request,
    decoded: Decoded,
    counted: list[range],
    prompts: Sequence[Prompt],
) -> list[Gradients]:
    """Gradients at each prompt's semantic-preserving token and at the plan's positions, in this order."""
    positions = np.array([[prompt.semantic_token, *plan.positions] for prompt in prompts])
    return way(architecture, decoded, counted, decoded.prompt_ids.shape[1] + positions, wanted)


def _take_states(architecture: Architecture, plan: Plan, way: GradientPass, *batch: Any) -> list[Gradients]:
    """The state gradients alone: the head's would take several times the head's memory."""
    return _take(architecture, plan, way, replace(plan.gradients, head=frozenset()), *batch)


def _told(need: RescoredLogProb, drawn: Mapping[SampleSet, Sequence[DecodedAnswer]], plan: Plan) -> Told:
    """The answers whose log-probabilities decoding has told at the need's temperature."""
    if plan.sets.tempered.get(need.samples) != need.temperature:
        return ()
    return [(one.token_ids, one.tempered) for one in drawn[need.samples] if one.tempered is not None]
