"""Likelihoods of answers as texts, tokenised anew: after their own prompt, and after prompts that state an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from uq_harness import functional
from uq_harness.engine.anatomy import Anatomy
from uq_harness.engine.prefill import Prefill
from uq_harness.engine.rescore import ROWS, rescore
from uq_harness.evidence import ConditionalLogProbs, Sample
from uq_harness.functional import FloatArray
from uq_harness.memory import Room, in_shrinking_streams

Tokenise = Callable[[str], list[int]]


def mean_logprobs(
    anatomy: Anatomy,
    prefill: Prefill,
    texts: Sequence[Sequence[str]],
    tokenise: Tokenise,
    *,
    temperature: float,
    pad_id: int,
    room: Room | None = None,
) -> list[FloatArray]:
    """Mean log-probability per token of each prompt's texts, in nats.

    It is ``-inf`` for a text without tokens, and ``nan`` for one that memory does not hold.

    Args:
        anatomy: The model.
        prefill: The prompts.
        texts: For each prompt the texts that follow it; equal ones are scored once.
        tokenise: Token ids of a text, without special tokens.
        temperature: Divides the logits before the softmax.
        pad_id: Token that fills the padding.
        room: How many texts go through the model at a time.
    """
    distinct = list(dict.fromkeys((row, text) for row, given in enumerate(texts) for text in given))
    tokens = [tokenise(text) for _, text in distinct]
    rows = [row for row, _ in distinct]
    scores = rescore(anatomy, prefill, rows, tokens, pad_id=pad_id, temperature=temperature, room=room)
    means = {key: float(score.mean()) if len(score) else -np.inf for key, score in zip(distinct, scores, strict=True)}
    return [np.array([means[row, text] for text in given]) for row, given in enumerate(texts)]


def conditionals(
    anatomy: Anatomy,
    samples: Sequence[Sequence[Sample]],
    stating: Sequence[Tokenise],
    tokenise: Tokenise,
    *,
    threshold: float,
    pad_id: int,
    room: Room | None = None,
    sampled: bool = False,
) -> list[ConditionalLogProbs]:
    """Distinct answers to each question, and their likelihoods after prompts that state one of them.

    A likelihood is ``nan`` where memory does not hold prompt and answer.

    Args:
        anatomy: The model.
        samples: For each question the sampled answers.
        stating: For each question, the token ids of the whole prompt that states an answer.
        tokenise: Token ids of a text, without special tokens.
        threshold: Token F1 above which two answers count as one.
        pad_id: Token that fills the padding.
        room: How many prompts, and how many answers to them, go through the model at a time.
        sampled: Whether the answers' own probabilities are those of the law that they were drawn from.
    """
    merged = [
        functional.merge_by_f1([s.text for s in drawn], [s.log_likelihood(sampled) for s in drawn], threshold)
        for drawn in samples
    ]
    stated: list[list[int]] = []
    rows: list[int] = []
    continuations: list[list[int]] = []
    for state, (answers, _) in zip(stating, merged, strict=True):
        if len(answers) > 1:  # one answer alone tells nothing
            for answer in answers:
                rows += [len(stated)] * len(answers)
                continuations += [tokenise(other) for other in answers]
                stated.append(state(answer))
    scores = iter(_sums(anatomy, stated, rows, continuations, pad_id, room or Room(ROWS)))
    return [
        ConditionalLogProbs(
            answers=tuple(answers),
            probabilities=probabilities,
            logprobs=np.array([[next(scores) for _ in answers] for _ in answers])
            if len(answers) > 1
            else np.zeros((len(answers), len(answers))),
        )
        for answers, probabilities in merged
    ]


def _sums(
    anatomy: Anatomy,
    prompts: list[list[int]],
    rows: list[int],
    continuations: list[list[int]],
    pad_id: int,
    room: Room,
) -> list[float]:
    """Log-likelihood of each continuation of the prompt at ``rows``."""
    following: list[list[int]] = [[] for _ in prompts]
    for i, row in enumerate(rows):
        following[row].append(i)

    def score(waiting: Sequence[int], size: int) -> Iterator[tuple[list[int], dict[int, float]]]:
        for positions in _parts([len(following[row]) for row in waiting], size, room):
            part = [waiting[position] for position in positions]
            prefill = Prefill.read(anatomy, [prompts[row] for row in part], pad_id)
            numbers = [i for row in part for i in following[row]]
            places = [place for place, row in enumerate(part) for _ in following[row]]
            tokens = [continuations[i] for i in numbers]
            scores = rescore(anatomy, prefill, places, tokens, pad_id=pad_id, room=room)
            yield positions, {i: float(one.sum()) for i, one in zip(numbers, scores, strict=True)}

    def undefined(row: int) -> dict[int, float]:
        return dict.fromkeys(following[row], np.nan)

    sums: dict[int, float] = {}
    longest_first = sorted(range(len(prompts)), key=lambda row: -len(prompts[row]))
    for _, some in in_shrinking_streams(score, longest_first, room, undefined):
        sums |= some
    return [sums[i] for i in range(len(continuations))]


def _parts(following: list[int], most: int, room: Room) -> Iterator[list[int]]:
    """Prompts in their order by their places, so many that they and what follows them go through the model at once.

    Args:
        following: How many texts follow each prompt.
        most: The largest number of prompts.
        room: The largest number of texts, unless one prompt has more.
    """
    part: list[int] = []
    for place, count in enumerate(following):
        if part and (len(part) == most or sum(following[one] for one in part) + count > room.size):
            yield part
            part = []
        part.append(place)
    if part:
        yield part
