"""PRR as a module of Hugging Face `evaluate`: ``evaluate.load("metrics/prr")``."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from uq_harness.functional import bootstrap_stderr, prr

_DESCRIPTION = """
PRR, the prediction rejection ratio: where the area under the risk-coverage curve (AURC) is between that of a random
order (0) and that of an oracle which puts every right answer first (1). Unlike AURC it can be compared between models
of different accuracy.
"""

_INPUTS = """
Args:
    predictions: the uncertainty of each answer, higher = more uncertain; rows that are not finite are left out.
    references: 1 if the answer was right, 0 if it was wrong.
    n_resamples: number of bootstrap resamples for the standard error; 1000 by default.
    seed: seed of the bootstrap; 0 by default.

Returns:
    prr: at most 1, higher is better; nan if all answers are right, all are wrong, or none has a score.
    prr_stderr: its standard error by bootstrap over answers.
"""

_CITATION = """
@inproceedings{malinin2021uncertainty,
    title = "Uncertainty Estimation in Autoregressive Structured Prediction",
    author = {Malinin, Andrey and Gales, Mark},
    booktitle = "International Conference on Learning Representations",
    year = "2021",
}
"""


class Prr(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """PRR and its standard error."""

    def _info(self) -> evaluate.MetricInfo:
        features = {"predictions": datasets.Value("float64"), "references": datasets.Value("int64")}
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(features),
            reference_urls=["https://arxiv.org/abs/2002.07650"],
        )

    def _compute(self, predictions: Any, references: Any, n_resamples: int = 1000, seed: int = 0) -> dict[str, float]:
        errors = bootstrap_stderr(predictions, references, n_resamples=n_resamples, seed=seed)
        return {"prr": prr(predictions, references), "prr_stderr": errors.prr}
