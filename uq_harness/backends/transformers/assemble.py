"""From what the passes yield to the evidence about each answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from uq_harness.backends.transformers.decoded import Decoded, DecodedAnswer
from uq_harness.backends.transformers.gradients import Gradients
from uq_harness.backends.transformers.plan import Plan
from uq_harness.backends.transformers.self_attention import ReadableBlocks
from uq_harness.evidence import (
    Alternatives,
    Answer,
    AnswerLogProbs,
    Evidence,
    HeadGradient,
    LikeliestTokens,
    Need,
    Sample,
    SampleSet,
    SampleStates,
    SelfAttention,
    StateGradient,
    StateGradientMap,
    StateGradientNorms,
    TokenStatistic,
)
from uq_harness.evidence.cost import ByReaders
from uq_harness.evidence.prompt import Prompt, StopCriteria

# For each need one value a prompt of the batch; ``None`` where it could not be had.
Columns = dict[Need[Any], Sequence[Any]]


@dataclass(frozen=True)
class Answers:
    """The answers of a batch, read as texts.

    Attributes:
        greedy: The greedy answer to each prompt.
        counted: Which of its decoded tokens make it up.
        samples: The sampled answers to each prompt, set by set.
        states: For each need of hidden states one array a prompt.
    """

    greedy: list[Answer]
    counted: list[range]
    samples: list[dict[SampleSet, tuple[Sample, ...]]]
    states: Columns

    @classmethod
    def read(cls, decoded: Decoded, stop: StopCriteria, plan: Plan) -> Answers:
        """Reads what has been decoded; samples are cut where the greedy answer would be cut."""
        raw = [row[:n] for row, n in zip(decoded.token_ids.tolist(), decoded.lengths, strict=True)]
        read = [known or stop.read(tokens) for known, tokens in zip(decoded.read, raw, strict=True)]
        greedy = [
            Answer(
                text=text,
                token_ids=tuple(raw[row][counted.start : counted.stop]),
                logprobs=decoded.logprobs[row, counted.start : counted.stop].cpu().numpy(),
                entropies=decoded.entropies[row, counted.start : counted.stop].cpu().numpy(),
                complete=decoded.ended[row],
                emitted_ids=_if_more(raw[row], counted),
            )
            for row, (text, counted) in enumerate(read)
        ]
        drawn = [plan.sets.divide(one) for one in decoded.samples]
        return cls(
            greedy=greedy,
            counted=[counted for _, counted in read],
            # every drawn answer is read once, however many sets share it
            samples=[plan.sets.divide(_read_samples(one, stop)) for one in decoded.samples],
            states={
                need: [_stacked(one[need.samples]) if need.samples in one else None for one in drawn]
                for need in plan.of_kind(SampleStates)
            },
        )

    def have(self, one: SampleSet) -> bool:
        """Whether memory held the samples of a set."""
        return all(one in drawn for drawn in self.samples)

    def columns(self, plan: Plan) -> Columns:
        """The samples and their states, for each need that they serve."""
        sets: Columns = {one: [drawn.get(one) for drawn in self.samples] for one in plan.sets.wanted}
        return sets | self.states


def distribution_columns(decoded: Decoded, answers: Answers, plan: Plan, vocabulary: int) -> Columns:
    """What is asked for of the distributions of the greedy answers' tokens.

    Args:
        decoded: The batch.
        answers: Its answers.
        plan: What was asked for.
        vocabulary: Number of tokens in the vocabulary.
    """
    statistics, lists = plan.of_kind(TokenStatistic), plan.of_kind(LikeliestTokens)
    if not plan.kept.sums.any:
        return {}
    # of all answers at once, for each call of NumPy costs more than a few numbers
    parts = [rows[one.start : one.stop] for rows, one in zip(decoded.distributions, answers.counted, strict=True)]
    rows = [row for part in parts for row in part]
    ends = np.cumsum([len(part) for part in parts])[:-1]
    own = [one.logprobs for one in answers.greedy if one.logprobs is not None]
    sums = plan.kept.sums.sums(rows, np.concatenate(own), vocabulary)
    columns: Columns = {need: np.split(need.statistic.of(sums), ends) for need in statistics}
    if sums.likeliest is None or not lists:
        return columns
    ids = plan.kept.sums.likeliest_ids(rows, vocabulary)
    tokens = [token for answer in answers.greedy for token in answer.token_ids or ()]
    for need in lists:
        found = Alternatives.of(tokens, sums.chosen, ids, sums.likeliest, need.count)
        halves = zip(np.split(found.token_ids, ends), np.split(found.logprobs, ends), strict=True)
        columns[need] = [Alternatives(token_ids, logprobs) for token_ids, logprobs in halves]
    return columns


def gradient_columns(found: Sequence[Gradients | None], plan: Plan) -> Columns:
    """The gradients that each need asks for; ``None`` for an answer whose gradients memory did not hold."""
    heads: Columns = {
        need: [one and (one.tied if need.tied else one.head)[need.reweighted] for one in found]
        for need in plan.of_kind(HeadGradient)
    }
    states: Columns = {need: [one and _norms(one, need, plan) for one in found] for need in plan.spans}
    return heads | states


def self_attention_columns(
    decoded: Decoded, answers: Answers, plan: Plan, blocks: Sequence[int], readable: ReadableBlocks
) -> Columns:
    """The weights that fed tokens gave to themselves, of the tokens that count.

    Args:
        decoded: The batch.
        answers: Its answers.
        plan: What was asked for.
        blocks: The blocks that were read.
        readable: What each need means.
    """
    columns: Columns = {}
    for need in plan.of_kind(SelfAttention):
        layers = [blocks.index(block) for block in readable.of(need)]
        nothing = np.empty((len(layers), readable.heads, 0))
        columns[need] = [
            nothing
            if weights is None or len(counted) < 2
            else weights[layers, :, counted.start : counted.stop - 1].double().cpu().numpy()
            for weights, counted in zip(decoded.self_attention, answers.counted, strict=True)
        ]
    return columns


def evidence_of(
    prompts: Sequence[Prompt],
    answers: Answers,
    columns: Columns,
    costs: Sequence[Mapping[str, float]],
    seconds: Sequence[ByReaders],
    plan: Plan,
) -> list[Evidence]:
    """The evidence about each answer of a batch.

    Args:
        prompts: The prompts of the batch.
        answers: Their answers.
        columns: The value of each need for each of them.
        costs: What each of them cost.
        seconds: The same by needs.
        plan: What was asked for.
    """
    return [
        Evidence(
            question=prompt.question,
            answer=answers.greedy[row],
            values={need: values[row] for need, values in columns.items() if values[row] is not None},
            undefined=undefined(answers.greedy[row], answers.samples[row], plan.needs)
            | {need for need, values in columns.items() if values[row] is None},
            semantic_token=prompt.semantic_token,
            semantic_text=prompt.semantic_text,
            prompt_ids=tuple(prompt.token_ids),
            message=prompt.message,
            cost=costs[row],
            seconds=seconds[row],
        )
        for row, prompt in enumerate(prompts)
    ]


def undefined(
    answer: Answer, samples: Mapping[SampleSet, Sequence[Sample]], needs: Sequence[Need[Any]]
) -> frozenset[Need[Any]]:
    """The needs that mean nothing since the model gave NaNs, and so had no next token.

    Answers and samples with such a token all look alike, and what compares nothing but their texts or states would call
    them certain.

    >>> answer = Answer("Paris", (5,), np.array([-0.5]), np.array([1.0]), complete=True)
    >>> undefined(answer, {}, [])
    frozenset()
    """
    if _has_nan(answer):
        return frozenset([AnswerLogProbs(), *needs])
    return frozenset(one for one, drawn in samples.items() if any(map(_has_nan, drawn)))


def _read_samples(
    drawn: Mapping[SampleSet, Sequence[DecodedAnswer]], stop: StopCriteria
) -> dict[SampleSet, list[Sample]]:
    return {sampler: [_read_sample(one, stop) for one in answers] for sampler, answers in drawn.items()}


def _read_sample(one: DecodedAnswer, stop: StopCriteria) -> Sample:
    text, counted = one.read or stop.read(list(one.token_ids))
    return Sample(
        text=text,
        token_ids=tuple(one.token_ids[counted.start : counted.stop]),
        logprobs=np.asarray(one.logprobs[counted.start : counted.stop], dtype=np.float64),
        complete=one.ended,
        sampled_logprobs=None if one.laws is None else one.laws[counted.start : counted.stop],
        emitted_ids=_if_more(one.token_ids, counted),
        logits=None if one.logits is None else one.logits[counted.start : counted.stop],
    )


def _if_more(emitted: Sequence[int], counted: range) -> tuple[int, ...] | None:
    """All emitted tokens, where they are more than those that count."""
    return tuple(emitted) if len(counted) < len(emitted) else None


def _stacked(drawn: Sequence[DecodedAnswer]) -> Any:
    """The hidden states of a set's answers, ``[n, width]``."""
    return torch.stack([one.state for one in drawn if one.state is not None]).double().numpy()


def _norms(found: Gradients, need: StateGradient | StateGradientMap, plan: Plan) -> StateGradientNorms:
    """The layers that a need asks for, at one column (``[layers]``) or several (``[layers, columns]``)."""
    columns: int | list[int] = 0
    if isinstance(need, StateGradientMap):
        columns = [1 + plan.positions.index(position) for position in need.positions]
    norms, span = found.states[need.reweighted], plan.spans[need]
    layers = slice(span.start - plan.gradients.first_block, span.stop - plan.gradients.first_block)
    return StateGradientNorms(norms.absolute[layers, columns], norms.squared[layers, columns])


def _has_nan(answer: Answer | Sample) -> bool:
    return answer.logprobs is not None and bool(np.isnan(answer.logprobs).any())
