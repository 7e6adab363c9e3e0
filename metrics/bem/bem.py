"""BEM as a module of Hugging Face `evaluate`: ``evaluate.load("metrics/bem")``."""

from __future__ import annotations

import math
import statistics
from typing import Any

import datasets
import evaluate

from uq_harness.correctness.base import build_judge

_DESCRIPTION = """
BEM (BERT matching) gives the probability that a free-form answer means the same as a reference answer, given the
question. Each prediction gets the maximum over its reference answers.
"""

_INPUTS = """
Args:
    predictions: the answers to judge, texts.
    references: a list of reference answers for each prediction.
    questions: the question of each prediction.
    threshold: the smallest probability of a correct answer; 0.7 by default.
    model: name on the hub or local folder; by default the backend's usual model.
    backend: "torch" (default) or "tfhub".
    batch_size, device, dtype, vocab: see docs/correctness.md.

Returns:
    bem: the mean probability.
    accuracy: the share of predictions whose probability reaches the threshold.
    scores: the probability of each prediction.
"""

_CITATION = """
@inproceedings{bulian-etal-2022-tomayto,
    title = "Tomayto, Tomahto. Beyond Token-level Answer Equivalence for Question Answering Evaluation",
    author = {Bulian, Jannis and Buck, Christian and Gajewski, Wojciech and B{\\"o}rschinger, Benjamin and
              Schuster, Tal},
    booktitle = "Proceedings of EMNLP 2022",
    year = "2022",
}
"""


class Bem(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """Mean BEM probability and the accuracy at a threshold."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        features = {"predictions": text, "references": datasets.Sequence(text), "questions": text}
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(features),
            reference_urls=["https://arxiv.org/abs/2202.07654"],
        )

    def _compute(
        self, predictions: list[str], references: list[list[str]], questions: list[str], **options: Any
    ) -> dict[str, Any]:
        judge = build_judge({"name": "bem", **options})
        scores = judge.score(questions, predictions, references)
        defined = [score for score in scores if not math.isnan(score)]
        return {
            "bem": statistics.fmean(defined) if defined else math.nan,
            "accuracy": statistics.fmean(judge.correct(score) for score in scores),
            "scores": scores,
        }
