"""The report as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from markupsafe import Markup

from uq_harness.rendering.coloured import legend
from uq_harness.rendering.figures import PAGE_TEXT, Marks, inline_svg, page_axes
from uq_harness.rendering.pages import render
from uq_harness.report.content import Report
from uq_harness.report.curves import Histogram, risk_at
from uq_harness.report.examples import ConfidentError
from uq_harness.report.figures import CostPoint, RunFigures, draw_cost, draw_histogram, draw_risk, draw_roc
from uq_harness.report.headline import percent
from uq_harness.report.run import RunSummary
from uq_harness.report.tables import Cell, Heading, Row, Table, by_value, method_title

_COVERAGES = (0.5, 0.8, 0.9, 1.0)
_RISK_NOTE = "Error rate when only the most certain answers are given; dotted: all answers"
_ROC_NOTE = "Wrong answers found against right ones flagged, over all thresholds; dotted: chance"
_COST_NOTE = (
    "Filled: no sampling; hollow: samples answers. Bars: one standard error. A stage of the run that several methods "
    "share counts in full for each of them; where samples were drawn, the greedy answer's part of decoding is "
    "estimated from the rows decoded."
)


@dataclass(frozen=True)
class _LegendEntry:
    method: str
    title: str
    slot: int


@dataclass(frozen=True)
class _Picture:
    id: str
    title: str
    note: str
    svg: Markup


@dataclass(frozen=True)
class _Pictures:
    """The pictures of a run as the template reads them."""

    legend: Sequence[_LegendEntry]
    curves: Sequence[_Picture]
    risks: Table | None
    cost: _Picture | None
    histograms: Sequence[_Picture]


@dataclass(frozen=True)
class _HeadedTable:
    id: str
    title: str
    table: Table


@dataclass(frozen=True)
class _Section:
    id: str
    heading: str
    tables: Sequence[_HeadedTable]


def write_page(content: Report, figures: dict[str, RunFigures]) -> str:
    """The page.

    Args:
        content: The report.
        figures: What is drawn of each run, by its id.
    """
    several = len(content.sections) > 1
    sections = [
        _Section(
            f"ranking-{number}",
            f"Ranking · {section.judge}" if several else "Ranking",
            [_HeadedTable(f"{table.name}-{number}", table.title, by_value(table)) for table in section.tables],
        )
        for number, section in enumerate(content.sections, 1)
    ]
    return render(
        "report.html",
        title=content.title,
        version=version("uq-harness"),
        headlines=content.headlines(),
        percent=percent,
        notes=content.notes,
        sections=sections,
        further=(*content.served, *content.beside),
        reference_notes=content.reference_notes,
        combined=content.combined,
        legends={
            run.id: legend(content.token_value)
            for run in content.runs
            if any(_coloured(one, content.token_value) is not None for one in run.examples)
        },
        coloured=lambda example: _coloured(example, content.token_value),
        runs=content.runs,
        pictures={run.id: _pictures(run, figures[run.id]) for run in content.runs},
        judges=len(content.sections),
    )


def _coloured(example: ConfidentError, token_value: str) -> Markup | None:
    return None if example.tokens is None else example.tokens.as_html(token_value)


def _pictures(summary: RunSummary, figures: RunFigures) -> _Pictures:
    titles = {name: method_title(name) for name in figures.methods}
    return _Pictures(
        legend=[_LegendEntry(name, titles[name], figures.slots.get(name, 0)) for name in figures.methods],
        curves=_curves(summary.id, figures),
        risks=_risks(summary, figures),
        cost=_cost(f"{summary.id}-cost", figures.costs) if figures.costs else None,
        histograms=[
            _histogram(f"{summary.id}-histogram-{number}", titles[name], found)
            for number, (name, found) in enumerate(figures.histograms.items(), 1)
        ],
    )


def _curves(run: str, figures: RunFigures) -> list[_Picture]:
    kinds = (
        (figures.risk, draw_risk, "Risk-coverage curves", _RISK_NOTE),
        (figures.roc, draw_roc, "ROC curves", _ROC_NOTE),
    )
    pictures = []
    for number, (_, draw, title, note) in enumerate((kind for kind in kinds if kind[0]), 1):
        axes, marks = page_axes(480, 322, (62, 10, 470, 282)), Marks()
        draw(axes, figures, marks)
        pictures.append(_picture(axes, marks, f"{run}-line-{number}", title, note))
    return pictures


def _cost(name: str, points: Sequence[CostPoint]) -> _Picture:
    axes, marks = page_axes(960, 416, (60, 12, 900, 372)), Marks()
    draw_cost(axes, points, marks, size=PAGE_TEXT)
    return _picture(axes, marks, name, "Cost against AUROC", _COST_NOTE, "wide")


def _histogram(name: str, title: str, found: Histogram) -> _Picture:
    axes, marks = page_axes(220, 102, (4, 4, 216, 84)), Marks()
    draw_histogram(axes, found, marks)
    return _picture(axes, marks, name, title, "log scale" if found.logarithmic else "")


def _picture(axes: Any, marks: Marks, name: str, title: str, note: str, classes: str = "") -> _Picture:
    return _Picture(name, title, note, Markup(inline_svg(axes.figure, marks, name, classes)))


def _risks(summary: RunSummary, figures: RunFigures) -> Table | None:
    """Error rates at a few coverages: the curves in numbers."""
    if not figures.methods:
        return None
    run = summary.run
    rows = [
        Row(
            name,
            method_title(name),
            tuple(Cell(100 * risk) for risk in risk_at(run.uncertainty[name], run.correct, _COVERAGES)),
        )
        for name in figures.methods
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
