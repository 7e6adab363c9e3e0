"""The lm_eval filter that judges the answers of a whole task at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from lm_eval.api.filter import Filter
from lm_eval.api.registry import register_filter

from uq_harness.correctness.base import build_judge
from uq_harness.evaluation.instances import UQText, record_of

FILTER = "uq_correctness"


@register_filter(FILTER)
class CorrectnessFilter(Filter):
    """Adds ``correctness`` (number) and ``correct`` (0 or 1) to the record of every answer, None where no verdict is.

    Documents need the fields ``question`` and ``answers``. A refused question has no answer, so it is not judged.

    Args:
        judge: A judge's name, or a mapping with its name and options.
    """

    def __init__(self, judge: str | Mapping[str, Any] = "bem", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._judge = build_judge(judge)

    def apply(self, resps: Iterable[str], docs: list[dict[str, Any]]) -> list[UQText]:
        """Judges every answer against the references of its document."""
        answers = list(resps)
        judged = [row for row, answer in enumerate(answers) if "refused" not in record_of(answer)]
        scores = np.full(len(answers), math.nan)
        if judged:
            scores[judged] = self._judge.score(
                [docs[row]["question"] for row in judged],
                [answers[row] for row in judged],
                [docs[row]["answers"] for row in judged],
            )
        return [
            UQText(
                answer,
                {
                    **record_of(answer),
                    "judge": self._judge.key,
                    "correctness": None if math.isnan(score) else score,
                    "correct": None if math.isnan(score) else int(self._judge.correct(score)),
                },
            )
            for answer, score in zip(answers, scores.tolist(), strict=True)
        ]
