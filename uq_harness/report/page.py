"""The report as one HTML page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from markupsafe import Markup

from uq_harness.rendering.coloured import legend
from uq_harness.rendering.figures import PAGE_TEXT, Marks, inline_svg, page_axes, page_figure
from uq_harness.rendering.pages import render
from uq_harness.report.content import Report
from uq_harness.report.cost import FAMILIES
from uq_harness.report.cost_picture import NOTE as COST_NOTE
from uq_harness.report.cost_picture import CostPoint, draw_cost
from uq_harness.report.curves import Curve, Histogram, risk_at
from uq_harness.report.examples import ConfidentError
from uq_harness.report.figures import RunFigures
from uq_harness.report.forest import NOTE as FOREST_NOTE
from uq_harness.report.forest import draw_forest, forest_rows
from uq_harness.report.headline import percent
from uq_harness.report.panels import RISK_NOTE, ROC_NOTE, draw_risk, draw_roc, risk_top
from uq_harness.report.ridges import NOTE as RIDGES_NOTE
from uq_harness.report.ridges import draw_ridges
from uq_harness.report.run import RunSummary
from uq_harness.report.tables import Cell, Heading, Row, Table, method_title

_COVERAGES = (0.5, 0.8, 0.9, 1.0)
_WIDTH = 1230  # of the page's content in a wide window
_LETTER = 6.6  # width of a letter
_FOREST_PANEL, _FOREST_ROW, _RIDGE_ROW = 106, 17, 26
_PANELS = 12  # methods whose curves are shown


@dataclass(frozen=True)
class _Picture:
    id: str
    title: str
    note: str
    svg: Markup


@dataclass(frozen=True)
class _Pictures:
    """The pictures of a run as the template reads them."""

    risk: Sequence[_Picture]
    roc: Sequence[_Picture]
    risks: Table | None
    cost: _Picture | None
    histograms: _Picture | None


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
    forest: _Picture | None


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
            [_HeadedTable(f"{table.name}-{number}", table.title, table) for table in section.tables],
            _forest(f"forest-{number}", section.tables[0]),
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
        families=FAMILIES,
        first=_PANELS,
        risk_note=RISK_NOTE,
        roc_note=ROC_NOTE,
    )


def _coloured(example: ConfidentError, token_value: str) -> Markup | None:
    return None if example.tokens is None else example.tokens.as_html(token_value)


def _forest(name: str, table: Table) -> _Picture | None:
    rows = forest_rows(table)
    if not rows:
        return None
    count = len(table.headings)
    names = _LETTER * max(len(row.title) for row in rows) + 16
    each = min(max(_FOREST_PANEL, (_WIDTH - names) / count), 280.0)
    height = _FOREST_ROW * len(rows)
    figure, marks = page_figure(names + each * count, height + 66), Marks()
    panels = [
        page_axes(figure, (names + number * each + 6, 38, names + (number + 1) * each - 12, 38 + height))
        for number in range(count)
    ]
    draw_forest(panels, table, range(count), marks, int(each / _LETTER))
    return _picture(figure, marks, name, "AUROC of all methods", FOREST_NOTE, full_size=True)


def _pictures(summary: RunSummary, figures: RunFigures) -> _Pictures:
    top = risk_top(figures.risk, figures.error_rate)

    def risk(axes: Any, curve: Curve, best: Curve | None, marks: Marks) -> None:
        draw_risk(axes, curve, best, figures.error_rate, top, marks)

    return _Pictures(
        risk=_curves(f"{summary.id}-risk", summary, figures.risk, risk),
        roc=_curves(f"{summary.id}-roc", summary, figures.roc, draw_roc),
        risks=_risks(summary, figures),
        cost=_cost(f"{summary.id}-cost", figures.costs) if figures.costs else None,
        histograms=_ridges(f"{summary.id}-histograms", figures.histograms) if figures.histograms else None,
    )


def _curves(
    name: str,
    summary: RunSummary,
    curves: Mapping[str, Curve],
    draw: Callable[[Any, Curve, Curve | None, Marks], None],
) -> list[_Picture]:
    """A small picture a method, with its AUROC."""
    best = next(iter(curves.values()), None)
    pictures = []
    for number, (method, curve) in enumerate(list(curves.items())[:_PANELS], 1):
        figure, marks = page_figure(200, 136), Marks()
        draw(page_axes(figure, (38, 8, 186, 114)), curve, None if curve is best else best, marks)
        auroc = summary.quality[method]["auroc"]
        told = percent(auroc) if math.isfinite(auroc.value) else ""
        pictures.append(_picture(figure, marks, f"{name}-{number}", method_title(method), told))
    return pictures


def _cost(name: str, points: Sequence[CostPoint]) -> _Picture:
    figure, marks = page_figure(960, 416), Marks()
    draw_cost(page_axes(figure, (60, 12, 900, 372)), points, marks, size=PAGE_TEXT)
    return _picture(figure, marks, name, "Cost against AUROC", COST_NOTE, "wide")


def _ridges(name: str, histograms: Mapping[str, Histogram]) -> _Picture:
    names = _LETTER * max(len(method_title(method)) for method in histograms) + 16
    height = _RIDGE_ROW * len(histograms)
    figure, marks = page_figure(names + 440, height + 8), Marks()
    draw_ridges(page_axes(figure, (names, 4, names + 300, 4 + height)), histograms, marks)
    return _picture(figure, marks, name, "Scores of correct and of wrong answers", RIDGES_NOTE, full_size=True)


def _picture(
    figure: Any, marks: Marks, name: str, title: str, note: str, classes: str = "", *, full_size: bool = False
) -> _Picture:
    return _Picture(name, title, note, Markup(inline_svg(figure, marks, name, classes, full_size=full_size)))


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
