"""The report's figures as PNG, SVG and PDF files, sized for a page or for one column of a paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from uq_harness.rendering.figures import FigureSize, Marks, bare_figure, new_figure, save, text_size
from uq_harness.report.axes import BLUE, ORANGE, label, shortened
from uq_harness.report.content import Report, Section
from uq_harness.report.cost_picture import add_legend, draw_cost
from uq_harness.report.curves import Curve
from uq_harness.report.figures import RunFigures
from uq_harness.report.forest import draw_forest, forest_rows
from uq_harness.report.names import file_name
from uq_harness.report.panels import draw_risk, draw_roc, risk_top
from uq_harness.report.ridges import draw_ridges
from uq_harness.report.tables import Table, method_title

_LETTER = 0.0078  # inches of a letter for each point of its size
_PANEL = 1.15  # inches of a panel of curves, at least
_PANEL_ROWS = 4
_FOREST_PANEL = 0.95  # inches of a column of the forest plot, at least
_ROW = 1.75  # heights of a row of the forest plot, in its text's size


def write_plots(report: Report, figures: dict[str, RunFigures], folder: Path, size: FigureSize) -> list[Path]:
    """The forest plot of each judge; curves, histograms and cost of every run.

    Args:
        report: The report.
        figures: What is drawn of each run.
        folder: Where to.
        size: How large.
    """
    files: list[Path] = []
    with text_size(size.text):
        for section in report.sections:
            files += _write_forests(section, folder, size, len(report.sections) > 1)
        stems: set[str] = set()
        for summary in report.runs:
            found = figures[summary.id]
            if not found.methods:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            stem = "_".join(map(file_name, (summary.model, summary.task, summary.judge)))
            if stem in stems:
                stem += f"_{summary.id}"
            stems.add(stem)
            files += save(_risk(found, size), folder / f"{stem}_risk")
            if found.roc:
                files += save(_roc(found, size), folder / f"{stem}_roc")
            files += save(_ridges(found, size), folder / f"{stem}_histograms")
            if found.costs:
                files += save(_cost(found, size), folder / f"{stem}_cost")
    return files


def _write_forests(section: Section, folder: Path, size: FigureSize, several: bool) -> list[Path]:
    """As many columns a figure as there is room for."""
    table = section.tables[0]
    rows = forest_rows(table)
    if not rows:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    names = _width_of([row.title for row in rows], size)
    count = max(1, int((size.width - names) / _FOREST_PANEL))
    columns = range(len(table.headings))
    files = []
    for number, first in enumerate(range(0, len(columns), count), 1):
        chosen = columns[first : first + count]
        name = "_".join(["forest", *([file_name(section.judge)] if several else []), *([str(number)] * (number > 1))])
        files += save(_forest(table, chosen, names, size), folder / name)
    return files


def _width_of(titles: Sequence[str], size: FigureSize) -> float:
    """Inches that the longest title takes, with some space."""
    return _LETTER * size.text * max(map(len, titles)) + 0.1


def _forest(table: Table, columns: Sequence[int], names: float, size: FigureSize) -> Any:
    height = len(forest_rows(table)) * _ROW * size.text / 72
    above, below = 3.2 * size.text / 72, 2.2 * size.text / 72
    figure = bare_figure(size.width, height + above + below)
    each = (size.width - names) / len(columns)
    panels = [
        figure.add_axes(
            (
                (names + number * each + 0.04) / size.width,
                below / (height + above + below),
                (each - 0.2) / size.width,
                height / (height + above + below),
            )
        )
        for number in range(len(columns))
    ]
    draw_forest(panels, table, columns, Marks(), int(each / (_LETTER * size.text)))
    return figure


def _risk(found: RunFigures, size: FigureSize) -> Any:
    top = risk_top(found.risk, found.error_rate)
    best = next(iter(found.risk.values()))

    def draw(axes: Any, curve: Curve) -> None:
        draw_risk(axes, curve, None if curve is best else best, found.error_rate, top, Marks())

    return _panels(found.risk, draw, "coverage", "error rate", size)


def _roc(found: RunFigures, size: FigureSize) -> Any:
    best = next(iter(found.roc.values()))

    def draw(axes: Any, curve: Curve) -> None:
        draw_roc(axes, curve, None if curve is best else best, Marks())

    return _panels(found.roc, draw, "right answers flagged", "wrong answers flagged", size)


def _panels(
    curves: Mapping[str, Curve], draw: Callable[[Any, Curve], None], across: str, up: str, size: FigureSize
) -> Any:
    """The best methods, as many as there is room for, with names of the axes on the outside."""
    columns = min(int((size.width - 0.5) / _PANEL) or 1, len(curves))
    chosen = list(curves.items())[: columns * _PANEL_ROWS]
    rows = math.ceil(len(chosen) / columns)
    panel = (size.width - 0.65) / max(columns, 2)
    width, height = panel * columns + 0.65, rows * 0.95 * panel + 0.5
    figure = bare_figure(width, height)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    figure.subplots_adjust(0.5 / width, 0.38 / height, 1 - 0.2 / width, 1 - 0.2 / height, wspace=0.25, hspace=0.35)
    for axes, (name, curve) in zip(grid.flat, chosen, strict=False):
        draw(axes, curve)
        axes.set_title(label(shortened(method_title(name), int(panel / (_LETTER * size.text)))), pad=3)
    for axes in grid.flat[len(chosen) :]:
        axes.set_axis_off()
    for column in range(columns):  # the last panel of a column has its numbers
        last = max(at for at in range(len(chosen)) if at % columns == column)
        grid.flat[last].tick_params(labelbottom=True)
    figure.supxlabel(across, fontsize="medium", y=0.04 / height, va="bottom")
    figure.supylabel(up, fontsize="medium", x=0.04 / width, ha="left")
    return figure


def _ridges(found: RunFigures, size: FigureSize) -> Any:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    names = _width_of([method_title(name) for name in found.histograms], size)
    ends = _width_of(["-1e-12 to -1e-12, log"], size)
    plot, above, below = len(found.histograms) * 2.4 * size.text / 72, 2.2 * size.text / 72, 0.05
    height = plot + above + below
    figure = bare_figure(size.width, height)
    left, right = names / size.width, 1 - ends / size.width
    axes = figure.add_axes((left, below / height, right - left, plot / height))
    draw_ridges(axes, found.histograms, Marks())
    handles = [
        Patch(color=BLUE, alpha=0.45, linewidth=0, label="correct answers"),
        Line2D([], [], color=ORANGE, linewidth=1.1, label="wrong answers"),
    ]
    figure.legend(handles=handles, loc="upper center", ncols=2, frameon=False, borderaxespad=0.1)
    return figure


def _cost(found: RunFigures, size: FigureSize) -> Any:
    figure = new_figure(size.width, 0.62 * size.width if size.width > 5 else 0.85 * size.width)
    axes = figure.subplots()
    add_legend(axes, found.costs)
    draw_cost(axes, found.costs, Marks(), size.text)
    return figure
