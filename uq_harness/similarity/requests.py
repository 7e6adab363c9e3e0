"""What a question needs compared, as requests.

Requests become pairs of texts, the pairs of a whole batch are scored at once, and the rows become arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, zip_longest
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from uq_harness.evidence.cost import parts_by_readers
from uq_harness.evidence.token_spans import token_spans
from uq_harness.functional import FloatArray
from uq_harness.similarity.memory import Pair
from uq_harness.similarity.services import NLI, Compared, Service, Similarity
from uq_harness.similarity.words import WordAlternatives

SAME_ENTAILMENT = np.array([1.0, 0.0, 0.0])
SAME_SIMILARITY = np.array(1.0)


def question_texts(question: str, answers: Sequence[str]) -> list[str]:
    """What is compared: each answer behind its question.

    >>> question_texts("Who wrote it?", ["Austen", ""])
    ['Who wrote it? Austen', 'Who wrote it? ']
    """
    return [f"{question} {answer}" for answer in answers]


@dataclass(frozen=True)
class AllPairs:
    """Request: all ordered pairs of different answers.

    An answer compared with itself is not asked about: it entails itself with probability 1 and has similarity 1. Equal
    texts at different places are a pair like any other.

    Attributes:
        question: The bare question.
        answers: The answers' texts, n of them.
    """

    question: str
    answers: tuple[str, ...]

    def pairs(self) -> list[Pair]:
        """The n(n-1) pairs, row by row."""
        texts = question_texts(self.question, self.answers)
        return [(a, b) for i, a in enumerate(texts) for j, b in enumerate(texts) if i != j]

    def arrange(self, rows: FloatArray, same: FloatArray) -> FloatArray:
        """Square of the pairs' rows, shape ``[n, n, ...]``, with ``same`` on the diagonal."""
        n = len(self.answers)
        square = np.empty((n, n, *same.shape))
        square[np.eye(n, dtype=bool)] = same
        square[~np.eye(n, dtype=bool)] = rows
        return square


@dataclass(frozen=True)
class AgainstAnswer:
    """Request: an answer and each of the samples, in both directions.

    Attributes:
        question: The bare question.
        answer: The answer's text.
        samples: The samples' texts, n of them.
    """

    question: str
    answer: str
    samples: tuple[str, ...]

    def pairs(self) -> list[Pair]:
        """For each sample (answer, sample) and (sample, answer)."""
        answer, *samples = question_texts(self.question, (self.answer, *self.samples))
        return [pair for sample in samples for pair in ((answer, sample), (sample, answer))]

    def arrange(self, rows: FloatArray) -> FloatArray:
        """The pairs' rows with an axis for the direction, shape ``[n, 2, ...]``."""
        return rows.reshape(len(self.samples), 2, *rows.shape[1:])


@dataclass(frozen=True)
class LikeAnswer:
    """Request: how much each of the samples resembles an answer.

    A sample with the answer's own text is not asked about: its similarity is 1.

    Attributes:
        question: The bare question.
        answer: The answer's text.
        samples: The samples' texts, n of them.
    """

    question: str
    answer: str
    samples: tuple[str, ...]

    def pairs(self) -> list[Pair]:
        """For each sample with another text (answer, sample) and (sample, answer)."""
        return AgainstAnswer(self.question, self.answer, tuple(self.samples[i] for i in self._others())).pairs()

    def arrange(self, rows: FloatArray) -> FloatArray:
        """The mean of both directions for each sample, shape ``[n]``."""
        found = np.ones(len(self.samples))
        found[self._others()] = rows.reshape(-1, 2).mean(axis=1)
        return found

    def _others(self) -> list[int]:
        return [place for place, text in enumerate(self.samples) if text != self.answer]


@dataclass(frozen=True)
class TokenRemovals:
    """Request: each sample with and without each of its tokens.

    Of a word's first token the space before it stays, so that the rest of the word does not join the word before. A
    character that several tokens write goes with each of them.

    Attributes:
        question: The bare question.
        token_ids: The samples' tokens.
        decode: Turns tokens into text, special tokens left out; of all of a sample's tokens, its text.
        special_ids: Tokens without meaning, which are not asked about.
    """

    question: str
    token_ids: tuple[tuple[int, ...], ...]
    decode: Callable[[Sequence[int]], str]
    special_ids: frozenset[int] = frozenset()

    def pairs(self) -> list[Pair]:
        """For each token that is not special (whole, without this token): by position, so equal tokens differ."""
        return [pair for ids in self.token_ids for pair in self._removals(ids)]

    def _removals(self, ids: tuple[int, ...]) -> list[Pair]:
        text, spans = self.decode(ids), token_spans(self.decode, ids)
        shorter = [_without(text, *spans[place]) for place in self._meaningful(ids)]
        whole, *parts = question_texts(self.question, [text, *shorter])
        return [(whole, part) for part in parts]

    def arrange(self, rows: FloatArray) -> tuple[FloatArray, ...]:
        """Relevances ``1 - similarity``, one array ``[tokens]`` a sample; 0 for special tokens."""
        relevances, start = [], 0
        for ids in self.token_ids:
            places = self._meaningful(ids)
            relevance = np.zeros(len(ids))
            relevance[places] = 1.0 - rows[start : start + len(places)]
            relevances.append(relevance)
            start += len(places)
        return tuple(relevances)

    def _meaningful(self, ids: tuple[int, ...]) -> list[int]:
        return [place for place, token in enumerate(ids) if token not in self.special_ids]


def _without(text: str, first: int, behind: int) -> str:
    """The text without some characters, their leading white space kept unless it would end a text or double a space.

    >>> _without("by Kagoshima", 2, 4), _without("by the sea", 2, 6), _without("by the sea", 6, 10)
    ('by agoshima', 'by sea', 'by the')
    """
    removed, after = text[first:behind], text[behind:]
    space = removed[: len(removed) - len(removed.lstrip())] if after and not after[0].isspace() else ""
    before = text[:first] + space
    return before + (after if before else after.lstrip())


class _Request(Protocol):
    def pairs(self) -> list[Pair]: ...


K = TypeVar("K")
J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True)
class Work(Generic[K]):
    """What went through the model for one question.

    Attributes:
        pairs: Number of pairs, by the keys of all requests that have them.
        characters: Their characters, likewise.
    """

    pairs: Mapping[frozenset[K], float]
    characters: Mapping[frozenset[K], float]

    @property
    def count(self) -> int:
        """Number of all pairs."""
        return round(sum(self.pairs.values()))

    @classmethod
    def of(cls, found: Iterable[tuple[K, _Asked]]) -> Work[K]:
        """The work of a question's requests, each under its key."""
        read: dict[K, set[Pair]] = {}
        new: set[Pair] = set()
        for key, one in found:
            read.setdefault(key, set()).update(one.pairs)
            new.update(one.new_pairs())
        sizes = {pair: float(sum(map(len, pair))) for pair in new}
        return cls(parts_by_readers(read, dict.fromkeys(new, 1.0)), parts_by_readers(read, sizes))


class _Asked(NamedTuple):
    """The pairs of a request, and what is known about them."""

    pairs: Sequence[Pair]
    compared: Compared

    def new_pairs(self) -> Iterator[Pair]:
        return compress(self.pairs, self.compared.new)


def _uncounted(work: Sequence[Work[Any]]) -> None:
    """For callers who do not want to know what went through the model."""


def entailment(
    nli: NLI,
    batch: Sequence[Mapping[K, AllPairs | AgainstAnswer | WordAlternatives]],
    count: Callable[[Sequence[Work[K]]], None] = _uncounted,
) -> list[dict[K, FloatArray]]:
    """NLI probabilities for the requests of a batch of questions, all through the model at once.

    Args:
        nli: The service.
        batch: For each question its requests, under keys of the caller's choice.
        count: Called with what went through the model for each question.

    Returns:
        For each question the arrays under the same keys: ``[n, n, 3]`` (premise, hypothesis) for `AllPairs`,
        ``[n, 2, 3]`` for `AgainstAnswer` (first the answer entailing the sample), ``[tokens, alternatives, 2, 3]`` for
        `WordAlternatives` (first the token entailing the alternative). The last axis is entailment, neutral,
        contradiction.
    """
    found = iter(_compare(_flat(batch), nli))
    compared = [{key: next(found) for key in requests} for requests in batch]
    count([Work.of(some.items()) for some in compared])

    def array(request: AllPairs | AgainstAnswer | WordAlternatives, rows: FloatArray) -> FloatArray:
        return request.arrange(rows, SAME_ENTAILMENT) if isinstance(request, AllPairs) else request.arrange(rows)

    return [
        {key: array(request, some[key].compared.rows) for key, request in requests.items()}
        for requests, some in zip(batch, compared, strict=True)
    ]


def similarities(
    similarity: Similarity,
    answers: Sequence[Mapping[K, AllPairs | LikeAnswer]],
    removals: Sequence[Mapping[J, TokenRemovals]],
    count: Callable[[Sequence[Work[Any]]], None] = _uncounted,
) -> tuple[list[dict[K, FloatArray]], list[dict[J, tuple[FloatArray, ...]]]]:
    """Similarities and token relevances for the requests of a batch of questions, all through the model at once.

    Args:
        similarity: The service.
        answers: For each question its requests for whole answers compared with each other.
        removals: For each question its requests for tokens' relevance.
        count: Called with what went through the model for each question.

    Returns:
        Under the same keys ``[n, n]`` for each `AllPairs`, ``[n]`` for each `LikeAnswer`, and for each `TokenRemovals`
        one array ``[tokens]`` a sample, all in [0, 1].

    >>> from uq_harness.similarity.build import build_similarity
    >>> words = ["in", "Paris", "</s>"]
    >>> removals = TokenRemovals(
    ...     "Where?", ((0, 1, 2),), lambda ids: " ".join(words[i] for i in ids if i < 2), special_ids=frozenset({2})
    ... )
    >>> similarities(build_similarity("lexical"), [{}], [{"relevance": removals}])[1][0]["relevance"]
    (array([0.2, 0.2, 0. ]),)
    """
    found = iter(_compare([*_flat(answers), *_flat(removals)], similarity))
    compared = [{key: next(found) for key in requests} for requests in answers]
    removed = [{key: next(found) for key in requests} for requests in removals]
    none: dict[Any, _Asked] = {}
    count([Work.of([*some.items(), *more.items()]) for some, more in zip_longest(compared, removed, fillvalue=none)])

    def array(request: AllPairs | LikeAnswer, rows: FloatArray) -> FloatArray:
        return request.arrange(rows, SAME_SIMILARITY) if isinstance(request, AllPairs) else request.arrange(rows)

    return (
        [
            {key: array(request, some[key].compared.rows[:, 0]) for key, request in requests.items()}
            for requests, some in zip(answers, compared, strict=True)
        ],
        [
            {key: request.arrange(some[key].compared.rows[:, 0]) for key, request in requests.items()}
            for requests, some in zip(removals, removed, strict=True)
        ],
    )


def _flat(batch: Sequence[Mapping[K, R]]) -> list[R]:
    return [request for requests in batch for request in requests.values()]


def _compare(requests: Sequence[_Request], service: Service) -> list[_Asked]:
    """What is found about each request's pairs, from one call."""
    asked = [request.pairs() for request in requests]
    found = service.compare([pair for pairs in asked for pair in pairs])
    ends = np.cumsum([len(pairs) for pairs in asked[:-1]], dtype=np.int64)
    return list(map(_Asked, asked, map(Compared, np.split(found.rows, ends), np.split(found.new, ends))))
