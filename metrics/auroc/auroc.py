"""AUROC as a module of Hugging Face `evaluate`: ``evaluate.load("metrics/auroc")``."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from uq_harness.functional import auroc, auroc_stderr

_DESCRIPTION = """
AUROC of an uncertainty score: the probability that a wrong answer is given more uncertainty than a right one. Ties
count half. It judges only the order of the scores, and does not depend on the share of wrong answers.
"""

_INPUTS = """
Args:
    predictions: the uncertainty of each answer, higher = more uncertain; rows that are not finite are left out.
    references: 1 if the answer was right, 0 if it was wrong.

Returns:
    auroc: 0 to 1, higher is better; nan if all answers are right, all are wrong, or none has a score.
    auroc_stderr: its standard error by DeLong's method; nan with fewer than two right or two wrong answers.
"""

_CITATION = """
@article{delong1988comparing,
    title = "Comparing the Areas under Two or More Correlated Receiver Operating Characteristic Curves: A Nonparametric
             Approach",
    author = {DeLong, Elizabeth R. and DeLong, David M. and Clarke-Pearson, Daniel L.},
    journal = "Biometrics",
    volume = "44",
    number = "3",
    pages = "837--845",
    year = "1988",
}
"""


class Auroc(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """AUROC and its standard error."""

    def _info(self) -> evaluate.MetricInfo:
        features = {"predictions": datasets.Value("float64"), "references": datasets.Value("int64")}
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(features),
            reference_urls=["https://doi.org/10.2307/2531595"],
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return {"auroc": auroc(predictions, references), "auroc_stderr": auroc_stderr(predictions, references)}
