"""AURC as a module of Hugging Face `evaluate`: ``evaluate.load("metrics/aurc")``."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from uq_harness.functional import aurc, bootstrap_stderr

_DESCRIPTION = """
AURC, the area under the risk-coverage curve: answer only the k most certain questions, take the error rate among them,
and average over all k. It says what abstaining is worth, in units of the error rate. Equal scores contribute their
expectation over random orders, so the rows' order does not matter.
"""

_INPUTS = """
Args:
    predictions: the uncertainty of each answer, higher = more uncertain; rows that are not finite are left out.
    references: 1 if the answer was right, 0 if it was wrong.
    n_resamples: number of bootstrap resamples for the standard error; 1000 by default.
    seed: seed of the bootstrap; 0 by default.

Returns:
    aurc: 0 to 1, lower is better; nan if all answers are right, all are wrong, or none has a score.
    aurc_stderr: its standard error by bootstrap over answers.
"""

_CITATION = """
@inproceedings{geifman2019bias,
    title = "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers",
    author = {Geifman, Yonatan and Uziel, Guy and El-Yaniv, Ran},
    booktitle = "International Conference on Learning Representations",
    year = "2019",
}
"""


class Aurc(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """AURC and its standard error."""

    def _info(self) -> evaluate.MetricInfo:
        features = {"predictions": datasets.Value("float64"), "references": datasets.Value("int64")}
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(features),
            reference_urls=["https://arxiv.org/abs/1805.08206"],
        )

    def _compute(self, predictions: Any, references: Any, n_resamples: int = 1000, seed: int = 0) -> dict[str, float]:
        errors = bootstrap_stderr(predictions, references, n_resamples=n_resamples, seed=seed)
        return {"aurc": aurc(predictions, references), "aurc_stderr": errors.aurc}
