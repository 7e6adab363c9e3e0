"""One question as steps of requests: greedy answer, samples and beams side by side, then what reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from uq_harness.backends.further_turn import conversation
from uq_harness.backends.served.abilities import alternatives
from uq_harness.backends.served.answers import Written
from uq_harness.backends.served.beams import diverse_beams
from uq_harness.backends.served.engine import Steps
from uq_harness.backends.served.forcing import Tokenise, conditionals, continuation_logprob, unconditional_logprobs
from uq_harness.backends.served.requests import Choice, QuestionRefusedError, TokenReply, TokenRequest, Usage
from uq_harness.backends.served.rescoring import is_bounded, mean_logprobs
from uq_harness.backends.served.sampling import first_seed
from uq_harness.backends.served.steps import StepRefusedError, first_refusal, together
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import (
    Answer,
    AnswerLogProbs,
    AnswersGivenAnswers,
    ConfidenceReply,
    ContinuationLogProb,
    DiverseBeams,
    DrawLogProbs,
    Evidence,
    LikeliestTokens,
    Need,
    RescoredLogProb,
    Sample,
    SampleLogProbs,
    Samples,
    SampleSet,
    TokenStatistic,
    UnconditionalLogProbs,
)
from uq_harness.evidence.prompt import Prompt, StopCriteria
from uq_harness.evidence.sets import SampleSets
from uq_harness.functional import FloatArray
from uq_harness.functional.statistics import DistributionSums

N = TypeVar("N", bound=Need[Any])


@dataclass(frozen=True)
class Plan:
    """What is gathered about every question, and with which settings.

    Attributes:
        needs: What the methods need.
        sets: The sets of samples among that.
        encode: Token ids of a whole text, with the special tokens that it begins with.
        tokenise: Token ids of a text, without special tokens.
        max_length: The model's context in tokens.
        seed: The run's seed.
        pad_id: The padding token.
        bos: The beginning-of-sequence token; ``None`` where there is none.
        most_alternatives: How many likeliest tokens the engine tells at most.
        tells_logprobs: Whether the engine tells log-probabilities of the greedy answer.
        own_logprobs: The samplers whose answers' log-probabilities are the model's own.
    """

    needs: tuple[Need[Any], ...]
    sets: SampleSets
    encode: Tokenise
    tokenise: Tokenise
    max_length: int
    seed: int
    pad_id: int
    bos: int | None
    most_alternatives: int
    tells_logprobs: bool
    own_logprobs: frozenset[SampleSet]

    def of_kind(self, kind: type[N]) -> list[N]:
        """The needs of a class."""
        return [need for need in self.needs if isinstance(need, kind)]

    def sets_of(self, sampler: SampleSet) -> set[SampleSet]:
        """The sets that a sampler serves."""
        nothing: tuple[Sample, ...] = ()
        return set(self.sets.divide({sampler: nothing}))


@dataclass
class _Found:
    """What has been found out about a question so far."""

    values: dict[Need[Any], Any] = field(default_factory=dict)
    undefined: set[Need[Any]] = field(default_factory=set)
    answer: Answer | None = None


class Question:
    """Gathers the evidence about one question.

    Args:
        plan: What is gathered.
        prompt: The question's prompt.
        stop: How answers end.
        on_refusal: Called with the first refusal of each step.
    """

    def __init__(
        self,
        plan: Plan,
        prompt: Prompt,
        stop: StopCriteria,
        on_refusal: Callable[[Prompt, QuestionRefusedError], None] = lambda prompt, error: None,
    ) -> None:
        self._plan, self._prompt, self._stop, self._on_refusal = plan, prompt, stop, on_refusal
        self._ids = tuple(map(int, prompt.token_ids))
        self._found = _Found()
        self._usage, self._scored_texts, self._error = Usage(), 0, 0.0
        # in the greedy answer's request too, so that it serves the first group of a search
        self._top = min(alternatives(plan.needs, len(stop.end_ids)), plan.most_alternatives)

    def steps(self) -> Steps[Evidence]:
        """Asks for everything, and returns the evidence.

        Where the engine refuses a request, what reads its reply is undefined: for the greedy answer's, everything.
        """
        samplers = self._plan.sets.samplers
        pieces = [self._answered(), *(self._sampled(sampler) for sampler in samplers)]
        answered, *sampled = yield from together(pieces)
        for sampler, outcome in zip(samplers, sampled, strict=True):
            if isinstance(outcome, QuestionRefusedError):
                self._found.undefined |= self._plan.sets_of(sampler)
        if isinstance(answered, QuestionRefusedError):
            return self.refused(str(answered))
        assert self._found.answer is not None
        needs = [need for need in self._plan.of_kind(ContinuationLogProb) if need.samples in self._found.values]
        text = self._found.answer.text
        yield from self._add(needs, [self._continuation(need, text) for need in needs])
        return self._evidence(self._found)

    def refused(self, reason: str) -> Evidence:
        """The evidence about a question whose answer cannot be had: nothing is defined."""
        nothing = Answer("", None, None, None, complete=None)
        return self._evidence(_Found(undefined={AnswerLogProbs(), *self._plan.needs}, answer=nothing), reason)

    def _evidence(self, found: _Found, refused: str | None = None) -> Evidence:
        assert found.answer is not None
        bounded = any(map(is_bounded, self._plan.needs))
        return Evidence(
            question=self._prompt.question,
            answer=found.answer,
            values=found.values,
            undefined=frozenset(found.undefined),
            semantic_token=self._prompt.semantic_token,
            semantic_text=self._prompt.semantic_text,
            prompt_ids=self._ids,
            message=self._prompt.message,
            refused=refused,
            cost={
                **self._usage.as_cost(),
                "scored_texts": self._scored_texts,
                **({"rescoring_error": self._error} if bounded else {}),
            },
        )

    # ---------------------------------------------------------------- requests

    def _ask(self, requests: list[TokenRequest]) -> Steps[list[TokenReply]]:
        """Sends requests, and notes what they cost."""
        try:
            replies = yield requests
        except StepRefusedError as error:
            self._on_refusal(self._prompt, first_refusal(error.outcomes) or error)
            for one in error.outcomes:
                if isinstance(one, TokenReply):
                    self._usage += one.usage
            raise
        for reply in replies:
            self._usage += reply.usage
        return replies

    def _score(self, requests: list[TokenRequest]) -> Steps[list[TokenReply]]:
        """Sends requests that read given texts; equal ones count once."""
        self._scored_texts += len(set(requests))
        return (yield from self._ask(requests))

    def _request(self, behind: Sequence[int] = (), **how: Any) -> TokenRequest:
        """Asks for answers, or for the rest of one of which some tokens are given."""
        return TokenRequest(
            prompt_ids=(*self._ids, *behind),
            max_tokens=self._stop.max_new_tokens - len(behind),
            end_ids=tuple(sorted(self._stop.end_ids)),
            stop_strings=self._stop.stop_strings,
            **how,
        )

    def _go_on(self, behind: Sequence[int]) -> Steps[TokenReply]:
        """The greedy answer, or the greedy rest of one of which some tokens are given."""
        (reply,) = yield from self._ask([self._request(behind, top=self._top)])
        _check_count(reply.choices, 1)
        return reply

    # ---------------------------------------------------------------- pieces

    def _answered(self) -> Steps[None]:
        """The greedy answer, and the needs that read it."""
        reply = yield from self._go_on(())
        written = Written.read(reply.choices[0], self._stop)
        self._found.answer = written.answer(self._plan.tells_logprobs)
        if written.undefined and self._plan.tells_logprobs:
            self._found.undefined.add(AnswerLogProbs())
        self._note_likeliest(written)
        verdicts = [need for need in self._plan.of_kind(ContinuationLogProb) if need.samples is None]
        alone = self._plan.of_kind(UnconditionalLogProbs)
        pieces: list[Steps[Any]] = [self._continuation(need, written.text) for need in verdicts]
        pieces += [self._unconditional(written.token_ids) for _ in alone]
        turns = {
            need: conversation(self._prompt, written.text, need, self._plan.max_length)
            for need in self._plan.of_kind(ConfidenceReply)
        }
        self._found.undefined |= {need for need, ids in turns.items() if ids is None}
        asked = {need: ids for need, ids in turns.items() if ids is not None}
        pieces += [self._reply(ids, need.max_tokens) for need, ids in asked.items()]
        yield from self._add([*verdicts, *alone, *asked], pieces)

    def _note_likeliest(self, written: Written) -> None:
        """The likeliest tokens and numbers of them; undefined where too few of them are known."""
        statistics = self._plan.of_kind(TokenStatistic)
        found: dict[Need[Any], Any] = {
            one: written.alternatives(one.count) for one in self._plan.of_kind(LikeliestTokens)
        }
        if statistics:
            sums = written.sums()
            found |= {need: _statistic(need, sums) for need in statistics}
        self._found.undefined |= {need for need, value in found.items() if value is None}
        self._found.values |= {need: value for need, value in found.items() if value is not None}

    def _sampled(self, sampler: SampleSet) -> Steps[None]:
        """The answers of a sampler, and the needs that read them."""
        if isinstance(sampler, DiverseBeams):
            choices: Sequence[Choice]
            choices = yield from diverse_beams(sampler, self._go_on, self._stop, self._plan.pad_id)
        else:
            choices = yield from self._drawn(sampler)
        known, lawful = sampler in self._plan.own_logprobs, sampler in self._plan.sets.lawful
        written = [Written.read(choice, self._stop) for choice in choices]
        samples = [one.sample(known, lawful) for one in written]
        sets = self._plan.sets.divide({sampler: samples})
        self._found.values |= dict[Need[Any], Any](sets.items())
        unknown = {need for one, some in sets.items() for need in _unknown(one, some)}
        given = [need for need in self._plan.of_kind(AnswersGivenAnswers) if need.samples in sets]
        undefined = [need for need in given if SampleLogProbs(need.samples) in unknown]
        self._found.undefined |= unknown | set(undefined)
        given = [need for need in given if need not in undefined]
        rescored = [
            need for need in self._plan.of_kind(RescoredLogProb) if need.samples in sets and need.samples not in unknown
        ]
        pieces = [self._rescored(need, sets[need.samples]) for need in rescored]
        pieces += [self._conditional(need, sets[need.samples]) for need in given]
        yield from self._add([*rescored, *given], pieces)

    def _add(self, needs: Sequence[Need[Any]], pieces: Sequence[Steps[Any]]) -> Steps[None]:
        """Runs a piece for each need side by side; one that is refused makes its own need undefined."""
        for need, outcome in zip(needs, (yield from together(pieces)), strict=True):
            if isinstance(outcome, QuestionRefusedError):
                self._found.undefined.add(need)
            else:
                self._found.values[need] = outcome

    def _drawn(self, samples: Samples) -> Steps[tuple[Choice, ...]]:
        request = self._request(
            count=samples.count,
            temperature=samples.temperature,
            top_p=samples.top_p,
            top_k=samples.top_k,
            seed=first_seed(self._plan.seed, self._ids, samples),
        )
        (reply,) = yield from self._ask([request])
        _check_count(reply.choices, samples.count)
        return reply.choices

    def _continuation(self, need: ContinuationLogProb, answer: str) -> Steps[float]:
        drawn = () if need.samples is None else self._found.values[need.samples]
        prompt = need.prefix + need.prompt(need.question(self._prompt.question, drawn), answer)
        plan = self._plan
        return (yield from continuation_logprob(prompt, need.continuation, plan.encode, self._score, plan.max_length))

    def _unconditional(self, answer: Sequence[int]) -> Steps[FloatArray]:
        return (yield from unconditional_logprobs(answer, self._plan.bos, self._score, self._plan.max_length))

    def _reply(self, conversation: Sequence[int], max_tokens: int) -> Steps[str]:
        """The reply to a conversation that goes on behind the answer."""
        request = TokenRequest(tuple(conversation), max_tokens, end_ids=tuple(sorted(self._stop.end_ids)))
        (reply,) = yield from self._ask([request])
        _check_count(reply.choices, 1)
        (choice,) = reply.choices
        return self._stop.reply(conversation, choice.token_ids, choice.ended)

    def _rescored(self, need: RescoredLogProb, samples: Sequence[Sample]) -> Steps[Any]:
        means, error = yield from mean_logprobs(
            self._ids,
            [sample.text for sample in samples],
            need.temperature,
            self._plan.tokenise,
            self._score,
            most_alternatives=self._plan.most_alternatives,
            max_length=self._plan.max_length,
        )
        self._error = max(self._error, error)
        return means

    def _conditional(self, need: AnswersGivenAnswers, samples: Sequence[Sample]) -> Steps[Any]:
        plan = self._plan
        return (yield from conditionals(need, self._prompt, samples, plan.tokenise, self._score, plan.max_length))


def _statistic(need: TokenStatistic, sums: DistributionSums) -> FloatArray | None:
    """A number of each of the answer's tokens; ``None`` where too few of the likeliest tokens are known."""
    assert sums.likeliest is not None
    if not len(sums.chosen):
        return np.empty(0)
    fewest = 2 if need.statistic.reads_gaps else need.statistic.n_likeliest
    if sums.likeliest.shape[1] < fewest:
        return None
    each = need.statistic.of(sums)
    return None if np.isnan(each).any() else each


def _unknown(one: SampleSet, samples: Sequence[Sample]) -> set[Need[Any]]:
    """What is undefined since the engine did not tell a log-probability of one of a set's answers.

    Beams are chosen by their log-probabilities; of samples the texts are still what was drawn.
    """
    if not any(sample.logprobs is not None and np.isnan(sample.logprobs).any() for sample in samples):
        return set()
    if isinstance(one, DiverseBeams):
        return {one}
    return {SampleLogProbs(one), DrawLogProbs(one)}


def _check_count(choices: Sequence[Choice], count: int) -> None:
    if len(choices) != count:
        raise UQHarnessError(
            f"the engine gives {len(choices)} answers where {count} were asked for: it cannot be used for samples"
        )
