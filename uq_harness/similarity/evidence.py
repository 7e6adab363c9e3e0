"""Adds what the auxiliary models say to the evidence about a batch of questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

from uq_harness.evidence import (
    AlternativeEntailment,
    AnswerEntailment,
    AnswerSimilarity,
    Evidence,
    Need,
    PairwiseEntailment,
    PairwiseSimilarity,
    SampleSet,
    TokenRelevance,
)
from uq_harness.evidence.cost import Stage, Stopwatch
from uq_harness.similarity.requests import (
    AgainstAnswer,
    AllPairs,
    LikeAnswer,
    TokenRemovals,
    Work,
    entailment,
    similarities,
)
from uq_harness.similarity.services import NLI, Similarity
from uq_harness.similarity.words import WordAlternatives, bare_word

EntailmentNeed = PairwiseEntailment | AnswerEntailment | AlternativeEntailment
N = TypeVar("N", bound=Need[Any])


class Comparer:
    """Makes the comparisons of texts that the chosen methods need; built once per run.

    Args:
        needs: What the methods need; those that are not comparisons are passed over.
        nli: The NLI service.
        similarity: The similarity service.
        decode: Turns tokens into an answer's text, special tokens left out.
        special_ids: Tokens whose relevance is 0 without asking.
    """

    def __init__(
        self,
        needs: Iterable[Need[Any]],
        nli: NLI,
        similarity: Similarity,
        *,
        decode: Callable[[Sequence[int]], str],
        special_ids: frozenset[int],
    ) -> None:
        distinct = list(dict.fromkeys(needs))
        self.nli, self.similarity = nli, similarity
        self._decode, self._special_ids = decode, special_ids
        self._word = cache(lambda token: bare_word(decode([token])))  # the same tokens are likely again and again
        self._entailment = [need for need in distinct if isinstance(need, EntailmentNeed)]
        self._similarity = [need for need in distinct if isinstance(need, PairwiseSimilarity | AnswerSimilarity)]
        self._relevance = [need for need in distinct if isinstance(need, TokenRelevance)]

    def prepare(self) -> None:
        """Loads the models that are needed, and no others.

        Raises:
            UQHarnessError: One of them cannot be had.
        """
        if self._entailment:
            self.nli.prepare()
        if self._similarity or self._relevance:
            self.similarity.prepare()

    def describe(self) -> dict[str, Any]:
        """The models that are used, for the results' configuration."""
        used: dict[str, Any] = {}
        if self._entailment:
            used["nli"] = self.nli.describe()
        if self._similarity or self._relevance:
            used["similarity"] = self.similarity.describe()
        return used

    def forget(self) -> None:
        """Forgets earlier comparisons, so that they are made again: for measuring what they cost."""
        self.nli.forget()
        self.similarity.forget()

    def add_entailment(self, batch: Sequence[Evidence]) -> list[Evidence]:
        """The evidence with all its NLI probabilities, for the whole batch in one call."""
        requests = [self.entailment_requests(one) for one in batch]
        work: list[Work[Any]] = []
        watch = Stopwatch(len(batch))
        with watch.stage("nli") as stage:
            found = entailment(self.nli, requests, work.extend)
            _share(stage, work)
        costs = watch.shares if self._entailment else [{} for _ in batch]
        return [
            one.plus(arrays.items(), {**cost, "nli_pairs": done.count}, seconds, done.pairs)
            for one, arrays, cost, done, seconds in zip(batch, found, costs, work, watch.seconds, strict=True)
        ]

    def add_similarity(self, batch: Sequence[Evidence]) -> list[Evidence]:
        """The evidence with all its similarities and token relevances, for the whole batch in one call."""
        answer_requests = [self.similarity_requests(one) for one in batch]
        relevance_requests = [self.relevance_requests(one) for one in batch]
        work: list[Work[Any]] = []
        watch = Stopwatch(len(batch))
        with watch.stage("similarity") as stage:
            answers, relevance = similarities(self.similarity, answer_requests, relevance_requests, work.extend)
            _share(stage, work)
        costs = watch.shares if self._similarity or self._relevance else [{} for _ in batch]
        found = zip(batch, answers, relevance, costs, work, watch.seconds, strict=True)
        return [
            one.plus(
                [*compared.items(), *relevances.items()],
                {**cost, "similarity_pairs": done.count},
                seconds,
                dict(done.pairs),
            )
            for one, compared, relevances, cost, done, seconds in found
        ]

    def entailment_requests(
        self, evidence: Evidence
    ) -> dict[EntailmentNeed, AllPairs | AgainstAnswer | WordAlternatives]:
        """What the NLI model is asked about one question."""
        return {need: self._entailment_request(need, evidence) for need in _met(self._entailment, evidence)}

    def similarity_requests(
        self, evidence: Evidence
    ) -> dict[PairwiseSimilarity | AnswerSimilarity, AllPairs | LikeAnswer]:
        """Which answers to one question the similarity model is to compare."""
        return {need: self._similarity_request(need, evidence) for need in _met(self._similarity, evidence)}

    def relevance_requests(self, evidence: Evidence) -> dict[TokenRelevance, TokenRemovals]:
        """Of which answers to one question the tokens are to be left out in turn."""
        return {
            need: TokenRemovals(
                evidence.question,
                tuple(sample.token_ids for sample in evidence[need.samples]),
                self._decode,
                self._special_ids,
            )
            for need in _met(self._relevance, evidence)
        }

    def _entailment_request(
        self, need: EntailmentNeed, evidence: Evidence
    ) -> AllPairs | AgainstAnswer | WordAlternatives:
        if isinstance(need, AlternativeEntailment):
            rows = evidence[need.alternatives].token_ids.tolist()
            return WordAlternatives(tuple(tuple(self._word(token) for token in row) for row in rows))
        texts = _texts(evidence, need.samples)
        if isinstance(need, PairwiseEntailment):
            return AllPairs(evidence.question, texts)
        return AgainstAnswer(evidence.question, evidence.answer.text, texts)

    def _similarity_request(
        self, need: PairwiseSimilarity | AnswerSimilarity, evidence: Evidence
    ) -> AllPairs | LikeAnswer:
        texts = _texts(evidence, need.samples)
        if isinstance(need, PairwiseSimilarity):
            return AllPairs(evidence.question, texts)
        return LikeAnswer(evidence.question, evidence.answer.text, texts)


def _share(stage: Stage, work: Sequence[Work[Any]]) -> None:
    """Divides a stage among questions by their pairs, and among needs by the lengths of the pairs that they read."""
    stage.divide([done.count for done in work])
    stage.among([dict(done.characters) for done in work])


def _met(needs: Iterable[N], evidence: Evidence) -> list[N]:
    """The needs about something that could be gathered."""
    return [need for need in needs if _subject(need) in evidence.values]


def _subject(need: Need[Any]) -> Need[Any] | None:
    """What is compared."""
    return need.alternatives if isinstance(need, AlternativeEntailment) else need.sample_set


def _texts(evidence: Evidence, samples: SampleSet) -> tuple[str, ...]:
    return tuple(sample.text for sample in evidence[samples])
