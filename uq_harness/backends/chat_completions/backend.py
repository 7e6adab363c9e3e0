"""A chat endpoint as a backend: texts, and log-probabilities of the tokens that it wrote where they are the model's."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from uq_harness.backends.chat_completions.probe import Found, cut_works
from uq_harness.backends.chat_completions.reply import ChatChoice, ChatReply
from uq_harness.backends.chat_completions.request import ChatPrompt, ChatRequest
from uq_harness.backends.refusals import unless_all_are_refused
from uq_harness.backends.served.sampling import first_seed
from uq_harness.backends.vocabulary import Vocabulary
from uq_harness.endpoints.failures import RequestRefused
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import (
    AlternativeEntailment,
    Answer,
    AnswerAttention,
    AnswerEntailment,
    AnswerEntropies,
    AnswerLogProbs,
    AnswersGivenAnswers,
    AnswerSimilarity,
    ComparedContinuationLogProb,
    ConfidenceReply,
    ContinuationLogProb,
    DiverseBeams,
    DrawLogProbs,
    Evidence,
    HeadGradient,
    LikeliestTokens,
    Need,
    PairwiseEntailment,
    PairwiseSimilarity,
    RescoredLogProb,
    Sample,
    SampleLogits,
    SampleLogProbs,
    Samples,
    SampleSet,
    SampleStates,
    SelfAttention,
    StateGradient,
    StateGradientMap,
    TokenRelevance,
    TokenStatistic,
    UnconditionalLogProbs,
    VocabularySize,
)
from uq_harness.evidence.prompt import Prompt, StopCriteria
from uq_harness.evidence.sets import SampleSets
from uq_harness.functional import FloatArray

log = logging.getLogger(__name__)
_OTHER_PROMPTS = "which chat messages cannot hold (use a server that takes prompts as tokens)"
_BY_TEXT = (
    "the likeliest tokens by their numbers: messages come with texts, in which special tokens look like words (use a "
    "server that takes prompts as tokens)"
)
_WEIGHTS = "which take the model's weights (use uq-hf)"
# What no chat endpoint gives, in words.
_NEVER: dict[type[Need[Any]], str] = {
    HeadGradient: f"gradients, {_WEIGHTS}",
    StateGradient: f"gradients, {_WEIGHTS}",
    StateGradientMap: f"gradients, {_WEIGHTS}",
    SampleStates: f"the model's hidden states, {_WEIGHTS}",
    SampleLogits: f"logits of the samples, {_WEIGHTS}",
    SelfAttention: f"attention weights, {_WEIGHTS}",
    AnswerAttention: f"attention weights, {_WEIGHTS}",
    VocabularySize: f"the size of the vocabulary, {_WEIGHTS}",
    AnswerEntropies: "entropies of the answer's tokens, which take the whole distributions (use uq-hf)",
    TokenStatistic: "numbers of the answer's distributions, which a chat endpoint is not asked for (use uq-hf, or for "
    "those of the likeliest tokens a server that takes prompts as tokens)",
    LikeliestTokens: _BY_TEXT,
    AlternativeEntailment: _BY_TEXT,
    ContinuationLogProb: f"the log-probability of a given text behind a raw prompt, {_OTHER_PROMPTS}",
    ComparedContinuationLogProb: f"the log-probability of a given text behind a raw prompt, {_OTHER_PROMPTS}",
    UnconditionalLogProbs: f"log-probabilities of the answer without its question, {_OTHER_PROMPTS}",
    RescoredLogProb: f"log-probabilities of given answers at another temperature, {_OTHER_PROMPTS}",
    AnswersGivenAnswers: f"log-probabilities of given answers behind other answers, {_OTHER_PROMPTS}",
    DiverseBeams: "answers of a diverse beam search, which takes prompts that end within an answer "
    "(use a server that takes prompts as tokens)",
    DrawLogProbs: "log-probabilities under the law that samples are drawn from, which take the whole distributions "
    "(use uq-hf)",
}
_FOREIGN = (
    "the model's own log-probabilities: those of this endpoint move with temperature and cuts, or never change (start "
    "SGLang with SGLANG_RETURN_ORIGINAL_LOGPROB=1, vLLM with --logprobs-mode raw_logprobs)"
)
_OF_TEXTS = (Samples, PairwiseEntailment, AnswerEntailment, PairwiseSimilarity, AnswerSimilarity)


@dataclass(frozen=True)
class _Replies:
    """All that an endpoint replied about one question.

    Attributes:
        greedy: The greedy answer.
        drawn: The samples, less those that it refused.
        stated: The replies about the answer, less those that it refused.
        refusals: Why it refused the others.
    """

    greedy: ChatReply
    drawn: Mapping[Samples, ChatReply]
    stated: Mapping[ConfidenceReply, ChatReply]
    refusals: Sequence[str] = ()

    @property
    def cost(self) -> dict[str, float]:
        others = [*self.drawn.values(), *self.stated.values()]
        return sum((reply.usage for reply in others), self.greedy.usage).as_cost()


class ChatBackend:
    """A chat endpoint as a backend.

    Args:
        found: The endpoint and what it does.
        seed: Seed of the samples; a question's also depend on its messages and on how they are drawn.
        vocabulary: Numbers the texts of tokens; a new one if absent.

    Attributes:
        special_ids: The number that stands for tokens that an answer's text does not show.
    """

    def __init__(self, found: Found, seed: int, vocabulary: Vocabulary | None = None) -> None:
        self._found, self._seed = found, seed
        self._server = found.server
        self._vocabulary = Vocabulary() if vocabulary is None else vocabulary
        self._needs: tuple[Need[Any], ...] = ()
        self._sets = SampleSets.of(())
        self._cuts: dict[str, bool] = {}
        self.special_ids = frozenset({Vocabulary.SPECIAL})

    def missing(self, need: Need[Any]) -> str | None:
        """What the endpoint does not give for a need, in words, as its probe found out; ``None`` for nothing."""
        for kind in (type(need), type(need.sample_set)):
            if kind in _NEVER:
                return _NEVER[kind]
        found = self._found
        if isinstance(need, ConfidenceReply):
            return None
        if isinstance(need, AnswerLogProbs):
            return found.values or (None if found.greedy_law else _FOREIGN)
        samples = need.sample_set
        if not isinstance(samples, Samples):
            return f"{type(need).__name__}, which no chat endpoint gives"
        without = found.samples or self._missing_cut(samples)
        if without is not None or isinstance(need, _OF_TEXTS):
            return without
        if isinstance(need, TokenRelevance):
            return found.values
        if isinstance(need, SampleLogProbs):
            neutral = samples == Samples(samples.count, 1.0)
            return found.values or (None if found.own_law or (neutral and found.greedy_law) else _FOREIGN)
        return f"{type(need).__name__}, which no chat endpoint gives"

    def prepare(self, needs: Sequence[Need[Any]]) -> None:
        """Notes what is to be gathered, and warns where another run would draw other samples."""
        self._needs, self._sets = tuple(needs), SampleSets.of(needs)
        if self._sets.samplers and not self._found.seeds:
            log.warning(
                "no seed makes the samples of this endpoint repeatable: another run draws other ones, unless a journal "
                "keeps the replies (journal=PATH)"
            )

    def gather(
        self, prompts: Sequence[Prompt], stop: StopCriteria, size: int
    ) -> Iterator[tuple[list[int], list[Evidence]]]:
        """The evidence about the answers to `ChatPrompt`s, in the order in which they come.

        A question that the endpoint refuses has an empty answer, and all that is needed about it is undefined. Where
        it refuses samples only, what reads them is.

        Raises:
            UQHarnessError: The endpoint refuses all of several questions, or cannot be used any more; what had been
                answered has been given.
        """
        yield from unless_all_are_refused(self._ended(prompts, stop))

    def _ended(
        self, prompts: Sequence[Prompt], stop: StopCriteria
    ) -> Iterator[tuple[tuple[list[int], list[Evidence]], str | None]]:
        """What `gather` yields, with the reason where the endpoint refused the question."""
        client, failure = self._server.client, None
        seen: Counter[str] = Counter()
        for position, result in client.map(lambda row: self._ask(prompts[row], stop), range(len(prompts))):
            if isinstance(result, UQHarnessError) and not isinstance(result, RequestRefused):
                failure = failure or result
                client.stop()
                continue
            evidence = self._evidence(prompts[position], stop, result, seen)
            yield ([position], [evidence]), evidence.refused
        self._warn(seen, len(prompts))
        if failure is not None:
            raise failure

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, special ones left out."""
        return self._vocabulary.decode(tokens)

    def describe(self) -> dict[str, Any]:
        """The endpoint as its probe found it; ``seeds`` says whether a seed repeats its samples."""
        found = self._found
        law = "none" if found.values else "the model's" if found.own_law else "not the model's"
        return {
            "engine": "chat completions",
            "log_probabilities": law,
            "seeds": found.seeds,
            "seed": self._seed,
            **({} if found.ends is None else {"end_of_sequence_told": found.ends}),
            **({"system_fingerprint": found.fingerprint} if found.fingerprint else {}),
        }

    def _missing_cut(self, samples: Samples) -> str | None:
        for name, wanted in (("top_p", samples.top_p < 1), ("top_k", samples.top_k > 0)):
            if wanted and name not in self._cuts:
                self._cuts[name] = cut_works(self._found, name)
            if wanted and not self._cuts[name]:
                return f"samples drawn with {name}, which this endpoint does not heed (leave {name} out)"
        return None

    # ------------------------------------------------------------------ requests

    def _ask(self, prompt: Prompt, stop: StopCriteria) -> _Replies | UQHarnessError:
        """All replies about one question; the error in their place, so that those of others are not lost."""
        assert isinstance(prompt, ChatPrompt)
        greedy = ChatRequest(
            prompt.messages,
            stop.max_new_tokens,
            stop_strings=stop.stop_strings,
            logprobs=self._found.values is None,
        )
        drawn: dict[Samples, ChatReply] = {}
        stated: dict[ConfidenceReply, ChatReply] = {}
        refusals: list[str] = []
        try:
            for one in self._samplers:
                try:
                    drawn[one] = self._server.ask(self._drawing(greedy, one))
                except RequestRefused as error:
                    refusals.append(str(error))
            answered = self._server.ask(greedy)
            for need in self._confidences:
                try:
                    stated[need] = self._server.ask(self._going_on(prompt, answered, stop, need))
                except RequestRefused as error:
                    refusals.append(str(error))
            return _Replies(answered, drawn, stated, refusals)
        except UQHarnessError as error:
            return error

    @property
    def _confidences(self) -> list[ConfidenceReply]:
        return [need for need in self._needs if isinstance(need, ConfidenceReply)]

    def _going_on(
        self, prompt: ChatPrompt, answered: ChatReply, stop: StopCriteria, need: ConfidenceReply
    ) -> ChatRequest:
        """Asks about the answer in a further turn."""
        answer = self._sample(answered.choices[0], stop, Counter()).text
        turns = ({"role": "assistant", "content": answer}, {"role": "user", "content": need.message})
        return ChatRequest((*prompt.messages, *turns), need.max_tokens)

    @property
    def _samplers(self) -> list[Samples]:
        return [one for one in self._sets.samplers if isinstance(one, Samples)]

    def _drawing(self, greedy: ChatRequest, samples: Samples) -> ChatRequest:
        return replace(
            greedy,
            temperature=samples.temperature,
            top_p=samples.top_p,
            top_k=samples.top_k,
            seed=first_seed(self._seed, json.dumps(list(map(dict, greedy.messages))).encode(), samples),
            count=samples.count,
        )

    # ------------------------------------------------------------------ evidence

    def _evidence(
        self, prompt: Prompt, stop: StopCriteria, replies: _Replies | UQHarnessError, seen: Counter[str]
    ) -> Evidence:
        if isinstance(replies, UQHarnessError):
            log.warning("%s: %r has no scores", replies, prompt.question)
            seen["refused"] += 1
            answer = Answer("", None, None, None, complete=None)
            return Evidence(
                question=prompt.question,
                answer=answer,
                undefined=frozenset(self._needs),
                message=prompt.message,
                refused=str(replies),
            )
        for refusal in replies.refusals[:1]:
            log.warning("%s: %r has no scores that need this reply", refusal, prompt.question)
            seen["in part"] += 1
        greedy = self._sample(replies.greedy.choices[0], stop, seen)
        drawn: dict[SampleSet, list[Sample]] = {
            one: [self._sample(choice, stop, seen) for choice in reply.choices] for one, reply in replies.drawn.items()
        }
        sets = self._sets.divide(drawn)
        told: dict[Need[Any], Sequence[FloatArray | None]] = {AnswerLogProbs(): [greedy.logprobs]}
        told |= {SampleLogProbs(one): [sample.logprobs for sample in some] for one, some in sets.items()}
        undefined = {need for need, arrays in told.items() if any(map(_unknown, arrays))}
        untold = {one for one, some in sets.items() if any(sample.logprobs is None for sample in some)}
        undefined |= {TokenRelevance(one) for one in untold}
        nothing: tuple[Sample, ...] = ()
        undefined |= set(self._sets.divide({one: nothing for one in self._samplers if one not in replies.drawn}))
        undefined |= {need for need in self._confidences if need not in replies.stated}
        values: dict[Need[Any], Any] = dict(sets.items())
        values |= {need: self._stated(reply.choices[0], stop) for need, reply in replies.stated.items()}
        return Evidence(
            question=prompt.question,
            answer=Answer(greedy.text, None, greedy.logprobs, None, complete=greedy.complete),
            values=values,
            undefined=frozenset(undefined),
            message=prompt.message,
            cost=replies.cost,
        )

    def _sample(self, choice: ChatChoice, stop: StopCriteria, seen: Counter[str]) -> Sample:
        """An answer, with the tokens that make up its text where the endpoint tells them.

        Its text is read from the message, character by character, and its tokens in the same way, so that stop strings
        and thoughts are cut from both. What the token that ends a thought writes beyond the mark is cut too, as it is
        where an answer is read from tokens alone.
        """
        text, _ = stop.read([self._vocabulary.number(character) for character in choice.text])
        numbers = self._numbers(choice, stop)
        if self._found.values is None and numbers is None:
            seen["without values"] += 1
        if numbers is None:
            return Sample(text, (), None, choice.ended)
        of_tokens, counted = stop.read(list(numbers))
        if of_tokens.strip() != text.strip():
            text = of_tokens
        values = np.array([token.logprob for token in choice.tokens or ()], dtype=np.float64)
        part = slice(counted.start, counted.stop)
        return Sample(text, numbers[part], np.minimum(values[part], 0.0), choice.ended)

    def _stated(self, choice: ChatChoice, stop: StopCriteria) -> str:
        return stop.reply((), [self._vocabulary.number(character) for character in choice.text], choice.ended)

    def _numbers(self, choice: ChatChoice, stop: StopCriteria) -> tuple[int, ...] | None:
        """The tokens of a message as numbers; ``None`` where they are not told or do not make it up."""
        if not choice.tokens or choice.thoughts:
            return None
        for texts in choice.token_texts():
            whole, message = "".join(texts).lstrip(), choice.text.strip()
            behind = whole.removeprefix(message)
            if whole.startswith(message) and any(one in behind for one in stop.stop_strings):
                return tuple(map(self._vocabulary.number, texts))
            numbers = self._vocabulary.encode(texts, choice.text)
            if numbers is not None:
                return numbers
        return None

    @staticmethod
    def _warn(seen: Counter[str], questions: int) -> None:
        if seen["refused"]:
            log.warning("the endpoint refused %d of %d questions, which have no scores", seen["refused"], questions)
        if seen["in part"]:
            log.warning(
                "the endpoint refused samples or further turns for %d of %d questions: what reads them is undefined",
                seen["in part"],
                questions,
            )
        if seen["without values"]:
            log.warning(
                "the tokens that the endpoint tells do not make up the message of %d answers: what reads their "
                "log-probabilities is undefined",
                seen["without values"],
            )


def _unknown(values: FloatArray | None) -> bool:
    return values is None or bool(np.isnan(values).any())
