"""The wrong answers that a method trusts most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uq_harness.functional import FloatArray
from uq_harness.rendering.coloured import TokenValues

_REFERENCES = 5  # shown of each question
_CERTAIN = 0.25


@dataclass(frozen=True)
class ConfidentError:
    """A wrong answer that a method is sure of.

    Attributes:
        question: The question.
        answer: The model's answer.
        references: The first reference answers.
        more_references: How many more there are.
        score: The method's uncertainty.
        surer_than: Share of the run's other scored answers with a higher uncertainty.
        agree: Number of methods that have the answer among their most certain quarter.
        methods: Number of methods that score it.
        row: The answer's row in the run.
        tokens: Its tokens with their values; ``None`` where its record has none.
    """

    question: str
    answer: str
    references: tuple[str, ...]
    more_references: int
    score: float
    surer_than: float
    agree: int
    methods: int
    row: int = 0
    tokens: TokenValues | None = None


def confident_errors(
    method: str,
    uncertainty: Mapping[str, FloatArray],
    correct: NDArray[np.int64],
    questions: Sequence[str],
    answers: Sequence[str],
    references: Sequence[Sequence[str]],
    count: int,
) -> list[ConfidentError]:
    """The wrong answers with the lowest uncertainty by one method, the most certain first.

    Args:
        method: The method.
        uncertainty: Scores of all methods, ``nan`` where there is none.
        correct: 1 for a right answer, 0 for a wrong one.
        questions: The questions' texts.
        answers: The answers' texts.
        references: The reference answers of each question.
        count: How many at most.
    """
    scores = uncertainty[method]
    wrong = np.flatnonzero((correct == 0) & np.isfinite(scores))
    first = wrong[np.argsort(scores[wrong], kind="stable")][:count]
    finite = scores[np.isfinite(scores)]
    limits = {
        name: np.quantile(values[np.isfinite(values)], _CERTAIN) if np.isfinite(values).any() else np.nan
        for name, values in uncertainty.items()
    }
    return [
        ConfidentError(
            question=questions[row],
            answer=answers[row],
            references=tuple(references[row][:_REFERENCES]),
            more_references=max(0, len(references[row]) - _REFERENCES),
            score=float(scores[row]),
            surer_than=float((finite > scores[row]).sum() / max(1, len(finite) - 1)),
            agree=sum(bool(values[row] <= limits[name]) for name, values in uncertainty.items()),
            methods=sum(bool(np.isfinite(values[row])) for values in uncertainty.values()),
            row=int(row),
        )
        for row in first
    ]
