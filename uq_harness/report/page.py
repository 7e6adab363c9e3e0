"""The report as one HTML page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from uq_harness import __version__
from uq_harness.methods import all_methods
from uq_harness.rendering.pages import render
from uq_harness.report.charts import (
    SLOTS,
    HistogramChart,
    LineChart,
    ScatterChart,
    histogram_chart,
    risk_chart,
    roc_chart,
    scatter_chart,
)
from uq_harness.report.content import Report
from uq_harness.report.curves import Curve, Histogram, histogram, risk_at, risk_coverage_curve, roc_curve
from uq_harness.report.examples import ConfidentError
from uq_harness.report.quality import Estimate
from uq_harness.report.run import RunSummary
from uq_harness.report.tables import Cell, Heading, Row, Table, method_title, order_of_methods

_COVERAGES = (0.5, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class RunFigures:
    """What is drawn of a run, in numbers; the page and the picture files are both made from it.

    Attributes:
        methods: The methods that score any answer, the best by AUROC first.
        slots: Colours of the first few of them.
        roc: ROC curves of those that have one.
        risk: Risk-coverage curves.
        histograms: Histograms of scores.
        error_rate: Share of wrong answers.
    """

    methods: tuple[str, ...]
    slots: dict[str, int]
    roc: dict[str, Curve]
    risk: dict[str, Curve]
    histograms: dict[str, Histogram]
    error_rate: float


def draw(view: RunSummary) -> RunFigures:
    """The curves of a run."""
    run, quality = view.run, view.quality
    scored = order_of_methods([name for name, count in view.scored.items() if count])

    def behind(name: str) -> float:
        value = quality[name]["auroc"].value
        return -value if math.isfinite(value) else math.inf

    methods = sorted(scored, key=behind)
    roc = {name: roc_curve(run.uncertainty[name], run.correct) for name in methods}
    risk = {name: risk_coverage_curve(run.uncertainty[name], run.correct) for name in methods}
    bars = {name: histogram(run.uncertainty[name], run.correct) for name in methods}
    return RunFigures(
        methods=tuple(methods),
        slots={name: slot for slot, name in enumerate(methods[:SLOTS], 1)},
        roc={name: curve for name, curve in roc.items() if curve},
        risk={name: curve for name, curve in risk.items() if curve},
        histograms={name: one for name, one in bars.items() if one},
        error_rate=view.error_rate,
    )


def cost_points(view: RunSummary) -> list[tuple[str, float, float, float, bool]]:
    """Title, seconds beyond the answer, AUROC, its error, and whether it samples, of each method that has both."""
    return [
        (method_title(name), view.costs.extra[name], found["auroc"].value, found["auroc"].stderr, _samples(name))
        for name, found in view.quality.items()
        if math.isfinite(found["auroc"].value) and math.isfinite(view.costs.extra.get(name, math.nan))
    ]


def _samples(name: str) -> bool:
    known = all_methods().get(name)
    return known is not None and known.sampling


@dataclass(frozen=True)
class _LegendEntry:
    method: str
    title: str
    slot: int


@dataclass(frozen=True)
class _RunPage:
    """A run as the template reads it."""

    id: str
    model: str
    task: str
    judge: str
    questions: int
    accuracy: Estimate
    undefined: int
    seconds: float
    date: str
    why_empty: str
    legend: Sequence[_LegendEntry]
    charts: Sequence[LineChart]
    risks: Table | None
    scatter: ScatterChart | None
    histograms: Sequence[HistogramChart]
    examples: Sequence[ConfidentError]
    examples_by: str


@dataclass(frozen=True)
class _HeadedTable:
    id: str
    short: str
    heading: str
    table: Table


@dataclass(frozen=True)
class _Section:
    tables: Sequence[_HeadedTable]


def write_page(content: Report, drawn: dict[str, RunFigures]) -> str:
    """The page.

    Args:
        content: The report.
        drawn: What is drawn of each run, by its id.
    """
    several = len(content.sections) > 1
    sections = [
        _Section(
            [
                _HeadedTable(
                    id=f"{table.name}-{number}",
                    short=f"{table.name.upper()} ({section.judge})" if several else table.name.upper(),
                    heading=f"{table.title} · {section.judge}" if several else table.title,
                    table=table,
                )
                for table in section.tables
            ]
        )
        for number, section in enumerate(content.sections, 1)
    ]
    return render(
        "report.html",
        title=content.title,
        version=__version__,
        notes=content.notes,
        sections=sections,
        beside=content.beside,
        reference_notes=content.reference_notes,
        runs=[_run_page(run, drawn[run.id]) for run in content.runs],
        judges=len(content.sections),
    )


def _run_page(view: RunSummary, drawn: RunFigures) -> _RunPage:
    titles = {name: method_title(name) for name in drawn.methods}
    charts = []
    if drawn.risk:
        charts.append(risk_chart(drawn.risk, titles, drawn.slots, drawn.error_rate))
    if drawn.roc:
        charts.append(roc_chart(drawn.roc, titles, drawn.slots))
    points = cost_points(view)
    return _RunPage(
        id=view.id,
        model=view.model,
        task=view.task,
        judge=view.judge,
        questions=view.questions,
        accuracy=view.accuracy,
        undefined=view.undefined,
        seconds=view.seconds,
        date=view.date,
        why_empty="" if drawn.methods else "There are no scores to draw.",
        legend=[_LegendEntry(name, titles[name], drawn.slots.get(name, 0)) for name in drawn.methods],
        charts=charts,
        risks=_risks(view, drawn),
        scatter=scatter_chart(points) if points else None,
        histograms=[histogram_chart(name, titles[name], one) for name, one in drawn.histograms.items()],
        examples=view.examples,
        examples_by=view.examples_by,
    )


def _risks(view: RunSummary, drawn: RunFigures) -> Table | None:
    """Error rates at a few coverages: the curves in numbers."""
    if not drawn.methods:
        return None
    run = view.run
    rows = [
        Row(
            name,
            method_title(name),
            tuple(Cell(100 * risk) for risk in risk_at(run.uncertainty[name], run.correct, _COVERAGES)),
        )
        for name in drawn.methods
    ]
    return Table(
        "risk",
        "Error rate at coverage",
        "Error rate in percent when only the most certain answers are given.",
        tuple(Heading("", f"{100 * coverage:.0f} % answered") for coverage in _COVERAGES),
        tuple(rows),
        1,
        higher_is_better=False,
    )
