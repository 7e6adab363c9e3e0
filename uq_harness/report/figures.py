"""What is drawn of a run, in numbers: curves, histograms and costs; the page and the picture files are made from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from uq_harness.report.cost_picture import CostPoint
from uq_harness.report.curves import Curve, Histogram, histogram, risk_coverage_curve, roc_curve
from uq_harness.report.panels import START
from uq_harness.report.run import RunSummary
from uq_harness.report.tables import method_title, order_of_methods


@dataclass(frozen=True)
class RunFigures:
    """What is drawn of a run.

    Attributes:
        methods: The methods that score any answer, the best by AUROC first.
        roc: ROC curves of those that have one.
        risk: Risk-coverage curves.
        histograms: Histograms of scores.
        costs: The methods of which both cost and AUROC are known.
        error_rate: Share of wrong answers.
    """

    methods: tuple[str, ...]
    roc: dict[str, Curve]
    risk: dict[str, Curve]
    histograms: dict[str, Histogram]
    costs: tuple[CostPoint, ...]
    error_rate: float


def run_figures(summary: RunSummary) -> RunFigures:
    """The curves, histograms and costs of a run."""
    run, quality = summary.run, summary.quality
    scored = order_of_methods([name for name, count in summary.scored.items() if count])

    def behind(name: str) -> float:
        value = quality[name]["auroc"].value
        return -value if math.isfinite(value) else math.inf

    methods = sorted(scored, key=behind)
    roc = {name: roc_curve(run.uncertainty[name], run.correct) for name in methods}
    risk = {name: risk_coverage_curve(run.uncertainty[name], run.correct, START) for name in methods}
    bars = {name: histogram(run.uncertainty[name], run.correct) for name in methods}
    return RunFigures(
        methods=tuple(methods),
        roc={name: curve for name, curve in roc.items() if curve},
        risk={name: curve for name, curve in risk.items() if curve},
        histograms={name: one for name, one in bars.items() if one},
        costs=tuple(_cost_points(summary)),
        error_rate=summary.error_rate,
    )


def _cost_points(summary: RunSummary) -> list[CostPoint]:
    return [
        CostPoint(
            method_title(name),
            summary.costs.extra[name],
            found["auroc"].value,
            found["auroc"].stderr,
            summary.costs.families[name],
        )
        for name, found in summary.quality.items()
        if math.isfinite(found["auroc"].value) and math.isfinite(summary.costs.extra.get(name, math.nan))
    ]
