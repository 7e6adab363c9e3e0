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

Tokenise = Callable[[str], list[int]]


def mean_logprobs(
    anatomy: Anatomy,
    prefill: Prefill,
    texts: Sequence[Sequence[str]],
    tokenise: Tokenise,
    *,
    temperature: float,
    pad_id: int,
) -> list[FloatArray]:
    """Mean log-probability per token of each prompt's texts, in nats; ``-inf`` for a text without tokens.

    Args:
        anatomy: The model.
        prefill: The prompts.
        texts: For each prompt the texts that follow it; equal ones are scored once.
        tokenise: Token ids of a text, without special tokens.
        temperature: Divides the logits before the softmax.
        pad_id: Token that fills the padding.
    """
    distinct = list(dict.fromkeys((row, text) for row, given in enumerate(texts) for text in given))
    tokens = [tokenise(text) for _, text in distinct]
    scores = rescore(anatomy, prefill, [row for row, _ in distinct], tokens, pad_id=pad_id, temperature=temperature)
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
) -> list[ConditionalLogProbs]:
    """Distinct answers to each question, and their likelihoods after prompts that state one of them.

    Args:
        anatomy: The model.
        samples: For each question the sampled answers.
        stating: For each question, the token ids of the whole prompt that states an answer.
        tokenise: Token ids of a text, without special tokens.
        threshold: Token F1 above which two answers count as one.
        pad_id: Token that fills the padding.
    """
    merged = [
        functional.merge_by_f1([s.text for s in drawn], [s.log_likelihood for s in drawn], threshold)
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
    scores = iter(_sums(anatomy, stated, rows, continuations, pad_id))
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
    anatomy: Anatomy, prompts: list[list[int]], rows: list[int], continuations: list[list[int]], pad_id: int
) -> list[float]:
    """Log-likelihood of each continuation of the prompt at ``rows``."""
    following: list[list[int]] = [[] for _ in prompts]
    for i, row in enumerate(rows):
        following[row].append(i)
    sums = [0.0] * len(continuations)
    for part in _parts(prompts, following):
        prefill = Prefill.read(anatomy, [prompts[row] for row in part], pad_id)
        numbers = [i for row in part for i in following[row]]
        places = [place for place, row in enumerate(part) for _ in following[row]]
        scores = rescore(anatomy, prefill, places, [continuations[i] for i in numbers], pad_id=pad_id)
        for i, score in zip(numbers, scores, strict=True):
            sums[i] = float(score.sum())
    return sums


def _parts(prompts: list[list[int]], following: list[list[int]]) -> Iterator[list[int]]:
    """Prompts of like length, so many that what follows them goes through the model at once."""
    part: list[int] = []
    for row in sorted(range(len(prompts)), key=lambda row: -len(prompts[row])):
        if part and sum(len(following[one]) for one in (*part, row)) > ROWS:
            yield part
            part = []
        part.append(row)
    if part:
        yield part
