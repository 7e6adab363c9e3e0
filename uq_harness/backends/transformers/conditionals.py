"""Log-likelihoods of distinct answers after prompts that state one of them, with every token position read once.

The stated prompts of a question share their beginning, up to the answer; what follows it differs. Answers behind one of
them share their beginnings. So three passes read a question: over the shared beginning, over what follows it in all its
prompts, and over its answers behind each prompt. Where a model's attention does not take a mask for every token apart,
prompts are read whole, and every answer behind a copy of its prompt's keys and values.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from transformers.cache_utils import DynamicCache

from uq_harness import functional
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.cache import gather, select
from uq_harness.backends.transformers.forward import Prefill
from uq_harness.backends.transformers.passes import in_passes
from uq_harness.backends.transformers.prefixes import Layout, may_share
from uq_harness.backends.transformers.teacher_forcing import ROWS, Tokenise, rescore, token_logprobs
from uq_harness.backends.transformers.token_trees import TokenTree, in_rows, read_trees
from uq_harness.batching import Room, in_shrinking_streams
from uq_harness.evidence import ConditionalLogProbs, Sample
from uq_harness.functional import FloatArray

log = logging.getLogger(__name__)
TEXTS = 2048  # answers behind stated prompts that are scored at a time


@torch.no_grad()
def conditionals(
    architecture: Architecture,
    samples: Sequence[Sequence[Sample]],
    stating: Sequence[Tokenise],
    tokenise: Tokenise,
    *,
    threshold: float,
    pad_id: int,
    most: int | None = None,
    max_length: int | None = None,
    room: Room | None = None,
    copies: Room | None = None,
    sampled: bool = False,
    layout: Layout = "auto",
) -> list[ConditionalLogProbs]:
    """Distinct answers to each question, and their likelihoods after prompts that state one of them.

    A likelihood is ``nan`` where the context or memory does not hold prompt and answer.

    Args:
        architecture: The model.
        samples: For each question the sampled answers.
        stating: For each question, the token ids of the whole prompt that states an answer.
        tokenise: Token ids of a text, without special tokens.
        threshold: Token F1 above which two answers count as one.
        pad_id: Token that fills the padding.
        most: How many of a question's distinct answers are kept, the likeliest; ``None`` for all.
        max_length: The model's context in tokens; ``None`` for no limit.
        room: How many answers after prompts are scored at a time.
        copies: How many of them have keys and values of their own at a time, where they cannot share their prompt's.
        sampled: Whether the answers' own probabilities are those of the law that they were drawn from.
        layout: ``copied`` where prompts' keys and values may not be shared.
    """
    merged = [
        functional.merge_by_f1([s.text for s in drawn], [s.log_likelihood(sampled) for s in drawn], threshold, most)
        for drawn in samples
    ]
    asked = [number for number, one in enumerate(merged) if len(one.answers) > 1]  # one answer alone tells nothing
    questions = [Asked.of(merged[number].answers, stating[number], tokenise) for number in asked]
    scorer = _Scorer(architecture, questions, pad_id, copies or Room(ROWS), layout != "copied")
    found = dict(zip(asked, scorer.score(room or Room(TEXTS), max_length), strict=True))
    return [
        ConditionalLogProbs(
            answers=tuple(one.answers),
            probabilities=one.probabilities,
            logprobs=found[number] if number in found else np.zeros((len(one.answers), len(one.answers))),
        )
        for number, one in enumerate(merged)
    ]


@dataclass(frozen=True)
class Asked:
    """A question's stated prompts and its answers, in tokens.

    Attributes:
        prompts: The distinct prompts.
        texts: The distinct answers.
        prompt_of: For each answer the number of the prompt that states it.
        text_of: For each answer its number among the distinct ones.
    """

    prompts: list[tuple[int, ...]]
    texts: list[tuple[int, ...]]
    prompt_of: list[int]
    text_of: list[int]

    @classmethod
    def of(cls, answers: Sequence[str], state: Tokenise, tokenise: Tokenise) -> Asked:
        """Tokenises answers, and the prompts that state them."""
        stated, written = [tuple(state(one)) for one in answers], [tuple(tokenise(one)) for one in answers]
        prompts, texts = list(dict.fromkeys(stated)), list(dict.fromkeys(written))
        return cls(prompts, texts, [prompts.index(one) for one in stated], [texts.index(one) for one in written])

    @cached_property
    def shared(self) -> int:
        """Number of tokens that all prompts begin with; each has at least one more."""
        shortest, first = min(map(len, self.prompts)), self.prompts[0]
        equal = (place for place in range(shortest - 1) if any(one[place] != first[place] for one in self.prompts))
        return next(equal, shortest - 1)


class _Pair(NamedTuple):
    """An answer after a prompt: numbers of the question, and of both among the question's own."""

    question: int
    prompt: int
    text: int


@dataclass(frozen=True)
class _Unit:
    """What is scored of a question at once.

    Attributes:
        question: The question.
        number: Its number.
        places: Places of the pairs among those that wait.
        prompts: Numbers of the prompts.
        rows: What follows the shared beginning in them: trees, and for each the places of its prompts in ``prompts``.
    """

    question: Asked
    number: int
    places: list[int]
    prompts: list[int]
    rows: list[tuple[list[int], TokenTree]]

    @classmethod
    def of(cls, question: Asked, number: int, places: list[int], prompts: Sequence[int]) -> _Unit:
        """The unit of some pairs, with the numbers of their question and prompts."""
        distinct = list(dict.fromkeys(prompts))
        tails = [question.prompts[prompt][question.shared :] for prompt in distinct]
        return cls(question, number, places, distinct, list(in_rows(tails, question.shared)))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of what follows the shared beginning."""
        return len(self.rows), max(len(tree) for _, tree in self.rows)


class _Stated(NamedTuple):
    """A stated prompt that the model has read.

    Attributes:
        row: Its row in the cache.
        columns: Its columns there, in order.
        node: The place of its last token among what followed the shared beginning.
    """

    row: int
    columns: list[int]
    node: int


class _Row(NamedTuple):
    """Answers behind a stated prompt that are read as one tree.

    Attributes:
        prompt: Number of the prompt.
        numbers: Numbers of the pairs.
        tree: All tokens of the answers but their last ones.
    """

    prompt: int
    numbers: list[int]
    tree: TokenTree


class _Scorer:
    """Scores questions' answers.

    Args:
        architecture: The model.
        questions: The questions.
        pad_id: Token that fills the padding.
        copies: How many answers have keys and values of their own at a time.
        shares: Whether prompts' keys and values may be shared.
    """

    def __init__(
        self, architecture: Architecture, questions: Sequence[Asked], pad_id: int, copies: Room, shares: bool
    ) -> None:
        self._architecture, self._questions, self._pad_id, self._copies = architecture, questions, pad_id, copies
        self._allowed = shares
        self._known: dict[tuple[int, tuple[tuple[int, ...], ...]], list[tuple[list[int], TokenTree]]] = {}

    def score(self, room: Room, max_length: int | None) -> list[FloatArray]:
        """Log-likelihood of each answer after each that is stated, a square for each question."""
        values = [np.zeros((len(one.prompts), len(one.texts))) for one in self._questions]
        pairs = [
            _Pair(number, prompt, text)
            for number, one in enumerate(self._questions)
            for prompt in range(len(one.prompts))
            for text, tokens in enumerate(one.texts)
            if tokens
        ]
        fitting = [pair for pair in pairs if max_length is None or self._length(pair) <= max_length]
        if len(fitting) < len(pairs):
            log.warning(
                "%d answers do not fit into the context behind prompts that state an answer and get no likelihood",
                len(pairs) - len(fitting),
            )
        for pair in pairs:
            values[pair.question][pair.prompt, pair.text] = np.nan
        for part, found in in_shrinking_streams(self._parts, fitting, room, lambda _: [np.nan]):
            for pair, value in zip(part, found, strict=True):
                values[pair.question][pair.prompt, pair.text] = value
        return [value[np.ix_(one.prompt_of, one.text_of)] for one, value in zip(self._questions, values, strict=True)]

    @cached_property
    def _shares(self) -> bool:
        """Whether prompts share keys and values: allowed, and the model's attention takes a mask for every token."""
        if not self._allowed:
            return False
        probe = Prefill.read(self._architecture, [self._questions[0].prompts[0][:1]], self._pad_id)
        return may_share(self._architecture, probe.cache)

    def _parts(self, waiting: Sequence[_Pair], size: int) -> Iterator[tuple[list[int], list[float]]]:
        """Scores pairs part by part, at most ``size`` of them at a time; yields places, and a value for each."""
        most = size if self._shares else min(size, self._copies.size)
        units = [self._unit(waiting, places) for places in _runs(waiting, most)]
        order = [[number] for number in range(len(units))]
        if most > 1 and self._shares:
            order = list(in_passes([unit.shape for unit in units], self._architecture))
        elif most > 1:
            order = [sorted(range(len(units)), key=lambda number: -max(map(len, units[number].question.prompts)))]
        for numbers in order:
            for part in _fitting([len(units[number].places) for number in numbers], most):
                some = [units[numbers[place]] for place in part]
                places = [place for unit in some for place in unit.places]
                pairs = [waiting[place] for place in places]
                shares = self._shares and all(unit.question.shared for unit in some)
                yield places, self._in_trees(some, pairs) if shares else self._in_copies(pairs)

    def _unit(self, waiting: Sequence[_Pair], places: list[int]) -> _Unit:
        number = waiting[places[0]].question
        return _Unit.of(self._questions[number], number, places, [waiting[place].prompt for place in places])

    def _in_copies(self, pairs: Sequence[_Pair]) -> list[float]:
        """Reads prompts whole, and each answer behind a copy of its prompt's keys and values."""
        prompts = list(dict.fromkeys((pair.question, pair.prompt) for pair in pairs))
        prefill = Prefill.read(
            self._architecture, [self._questions[one].prompts[prompt] for one, prompt in prompts], self._pad_id
        )
        rows = {prompt: row for row, prompt in enumerate(prompts)}
        scores = rescore(
            self._architecture,
            prefill,
            [rows[pair.question, pair.prompt] for pair in pairs],
            [self._text(pair) for pair in pairs],
            pad_id=self._pad_id,
            room=self._copies,
        )
        return [float(one.sum()) for one in scores]

    def _in_trees(self, units: Sequence[_Unit], pairs: Sequence[_Pair]) -> list[float]:
        """Reads the units' shared beginnings, what follows them in each prompt, and the answers behind each prompt."""
        questions = [unit.question for unit in units]
        beginnings = Prefill.read(self._architecture, [one.prompts[0][: one.shared] for one in questions], self._pad_id)
        assert beginnings.cache is not None
        dtype, device, width = beginnings.last_state.dtype, beginnings.mask.device, beginnings.ids.shape[1]
        owners, trees, stated = list[int](), list[TokenTree](), dict[tuple[int, int], _Stated]()
        for number, unit in enumerate(units):
            start = width - unit.question.shared
            for members, tree in unit.rows:
                for member, path in zip(members, tree.paths, strict=True):
                    columns = [*range(start, width), *(width + node for node in path)]
                    stated[unit.number, unit.prompts[member]] = _Stated(len(trees), columns, path[-1])
                owners.append(number)
                trees.append(tree)
        at = torch.tensor(owners, device=device)
        hidden, cache = read_trees(
            self._architecture,
            select(beginnings.cache, at),
            beginnings.mask.bool()[at],
            trees,
            dtype,
            self._pad_id,
        )
        del beginnings
        keys = list(stated)
        last = hidden[[one.row for one in stated.values()], [one.node for one in stated.values()]]
        del hidden
        place = {key: number for number, key in enumerate(keys)}
        behind: list[list[int]] = [[] for _ in keys]
        for number, pair in enumerate(pairs):
            behind[place[pair.question, pair.prompt]].append(number)
        first = [place[pair.question, pair.prompt] for pair in pairs]
        totals = token_logprobs(self._architecture, last, first, [self._text(pair)[0] for pair in pairs])
        rows = [row for number, some in enumerate(behind) for row in self._rows(number, some, pairs)]
        for numbers in in_passes([(1, len(row.tree)) for row in rows], self._architecture):
            some = [rows[number] for number in numbers]
            self._add(totals, some, cache, [stated[keys[row.prompt]] for row in some], pairs, dtype)
        found: list[float] = totals.tolist()
        return found

    def _rows(self, prompt: int, numbers: Sequence[int], pairs: Sequence[_Pair]) -> Iterator[_Row]:
        """Trees of the answers behind a prompt; an answer's last token predicts nothing that is asked for."""
        longer = [number for number in numbers if len(self._text(pairs[number])) > 1]
        fed = tuple(self._text(pairs[number])[:-1] for number in longer)
        for members, tree in self._trees(fed, pairs[numbers[0]].question):
            yield _Row(prompt, [longer[member] for member in members], tree)

    def _trees(self, fed: tuple[tuple[int, ...], ...], question: int) -> list[tuple[list[int], TokenTree]]:
        """The trees of some sequences; those of a question are the same behind all its prompts."""
        if (question, fed) not in self._known:
            self._known[question, fed] = list(in_rows(fed, self._questions[question].shared))
        return self._known[question, fed]

    def _add(
        self,
        totals: FloatArray,
        rows: Sequence[_Row],
        cache: DynamicCache,
        stated: Sequence[_Stated],
        pairs: Sequence[_Pair],
        dtype: torch.dtype,
    ) -> None:
        """Adds to the pairs' values those of all tokens but the first.

        Args:
            totals: The values.
            rows: Trees of answers.
            cache: Keys and values of the prompts.
            stated: For each row the prompt that it stands behind.
            pairs: The pairs.
            dtype: Type of the model's states.
        """
        longest = max(len(one.columns) for one in stated)
        columns = np.array([[0] * (longest - len(one.columns)) + one.columns for one in stated])
        lengths = np.array([len(one.columns) for one in stated])
        seen = np.arange(longest) >= longest - lengths[:, None]
        device = self._architecture.input_device
        hidden, _ = read_trees(
            self._architecture,
            gather(cache, torch.tensor([one.row for one in stated]), torch.as_tensor(columns)),
            torch.as_tensor(seen, device=device),
            [row.tree for row in rows],
            dtype,
            self._pad_id,
        )
        counts = [len(row.tree) for row in rows]
        before = np.cumsum(counts) - counts
        real = torch.as_tensor(np.arange(max(counts)) < np.array(counts)[:, None], device=hidden.device)
        at, chosen, owners = list[int](), list[int](), list[int]()
        for row, start in zip(rows, before.tolist(), strict=True):
            for number, path in zip(row.numbers, row.tree.paths, strict=True):
                at += [start + node for node in path]
                chosen += self._text(pairs[number])[1:]
                owners += [number] * len(path)
        np.add.at(totals, owners, token_logprobs(self._architecture, hidden[real], at, chosen))

    def _length(self, pair: _Pair) -> int:
        return len(self._questions[pair.question].prompts[pair.prompt]) + len(self._text(pair))

    def _text(self, pair: _Pair) -> tuple[int, ...]:
        return self._questions[pair.question].texts[pair.text]


def _runs(pairs: Sequence[_Pair], most: int) -> Iterator[list[int]]:
    """Places of pairs that go together: those of a question; where they are too many, those of a prompt, or parts."""
    for places in _equal(range(len(pairs)), lambda place: pairs[place].question):
        if len(places) <= most:
            yield places
            continue
        for some in _equal(places, lambda place: pairs[place].prompt):
            yield from (some[start : start + most] for start in range(0, len(some), most))


def _equal(places: Sequence[int], key: Callable[[int], int]) -> list[list[int]]:
    """Runs of places with equal keys."""
    return [list(run) for _, run in groupby(places, key=key)]


def _fitting(counts: Sequence[int], most: int) -> Iterator[list[int]]:
    """Places of items in their order, with counts that add up to at most so many unless one alone has more."""
    part: list[int] = []
    for place, count in enumerate(counts):
        if part and sum(counts[one] for one in part) + count > most:
            yield part
            part = []
        part.append(place)
    if part:
        yield part
