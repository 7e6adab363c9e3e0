"""The report's pictures as PNG and SVG files."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from uq_harness.rendering import figures as plots
from uq_harness.rendering.escape import visible
from uq_harness.report.charts import highest_risk, scatter_chart
from uq_harness.report.content import Report
from uq_harness.report.curves import Histogram
from uq_harness.report.page import RunFigures, cost_points
from uq_harness.report.run import RunSummary
from uq_harness.report.tables import method_title

# Okabe and Ito's colours, told apart by colour-blind readers, with line styles for print.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_STYLES = ("-", "--", ":", "-.", (0, (7, 2)), (0, (3, 1, 1, 1)))
_RIGHT, _WRONG = "#0072B2", "#D55E00"


def write_plots(content: Report, drawn: dict[str, RunFigures], folder: Path) -> list[Path]:
    """Curves, histograms and cost of every run, each as PNG and SVG.

    Raises:
        UQHarnessError: matplotlib is not installed.
    """
    files: list[Path] = []
    stems: set[str] = set()
    for view in content.runs:
        run = drawn[view.id]
        if not run.methods:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        stem = "_".join(map(_file_name, (view.model, view.task, view.judge)))
        if stem in stems:
            stem += f"_{view.id}"
        stems.add(stem)
        files += plots.save(_curves(view, run), folder / f"{stem}_curves")
        files += plots.save(_histograms(view, run), folder / f"{stem}_histograms")
        if points := cost_points(view):
            files += plots.save(_cost(view, points), folder / f"{stem}_cost")
    return files


def _file_name(text: str) -> str:
    """Letters, digits and a few signs of a text, for a file's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.")[:60] or "unnamed"


def _label(text: str) -> str:
    """A text that matplotlib does not take for mathematics."""
    return visible(text).replace("$", r"\$")


def _title(view: RunSummary) -> str:
    return _label(view.name)


def _curves(view: RunSummary, run: RunFigures) -> Any:
    figure = plots.new_figure(10, 4.2)
    risk, roc = figure.subplots(1, 2)
    for axes, curves in ((risk, run.risk), (roc, run.roc)):
        for name in sorted(curves, key=lambda one: -run.slots.get(one, 99)):
            slot = run.slots.get(name, 0)
            how = (
                {"color": _COLOURS[slot - 1], "linestyle": _STYLES[slot - 1], "linewidth": 1.6, "zorder": 3}
                if slot
                else {"color": "#c3c9d1", "linewidth": 0.8}
            )
            axes.plot(curves[name].x, curves[name].y, label=_label(method_title(name)) if slot else None, **how)
    risk.axhline(run.error_rate, color="#59616b", linestyle=":", linewidth=1)
    risk.set(xlabel="coverage", ylabel="error rate", xlim=(0, 1), title="Risk-coverage curves")
    risk.set_ylim(0, highest_risk(run.risk, run.error_rate))
    roc.plot([0, 1], [0, 1], color="#59616b", linestyle=":", linewidth=1)
    roc.set(
        xlabel="right answers flagged", ylabel="wrong answers flagged", xlim=(0, 1), ylim=(0, 1.005), title="ROC curves"
    )
    handles, labels = (roc if run.roc else risk).get_legend_handles_labels()
    (roc if run.roc else risk).legend(handles[::-1], labels[::-1], loc="lower right", fontsize="small", frameon=False)
    figure.suptitle(_title(view), fontsize="medium")
    return figure


def _histograms(view: RunSummary, run: RunFigures) -> Any:
    columns = min(4, len(run.histograms))
    rows = math.ceil(len(run.histograms) / columns)
    figure = plots.new_figure(2.6 * columns, 1.5 * rows + 0.6)
    grid = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axes, (name, found) in zip(grid, run.histograms.items(), strict=False):
        _histogram(axes, method_title(name), found)
    for axes in grid[len(run.histograms) :]:
        axes.set_axis_off()
    figure.suptitle(f"{_title(view)}: scores of correct (filled) and wrong answers (line)", fontsize="medium")
    return figure


def _histogram(axes: Any, title: str, found: Histogram) -> None:
    """Bins are drawn equally wide, so that no logarithmic axis has to be laid out."""
    edges = np.arange(len(found.edges))
    axes.stairs(found.correct, edges, fill=True, color=_RIGHT, alpha=0.45)
    axes.stairs(found.wrong, edges, color=_WRONG, linewidth=1.4)
    axes.set_xticks([0, len(edges) - 1], [f"{found.edges[0]:.2g}", f"{found.edges[-1]:.2g}"], fontsize=7)
    axes.set_yticks([])
    axes.set_title(_label(title) + (" (log)" if found.logarithmic else ""), fontsize=8)
    axes.spines[["left", "right", "top"]].set_visible(False)


def _cost(view: RunSummary, points: list[tuple[str, float, float, float, bool]]) -> Any:
    """The page's picture again, in its coordinates: a hundredth of an inch each, downwards."""
    chart = scatter_chart(points)
    left, top, right, bottom = chart.frame
    figure = plots.new_figure(9.6, 4.6)
    axes = figure.subplots()
    axes.set_xlim(left, right + 40)
    axes.set_ylim(bottom, top - 10)
    axes.set_xticks([tick.at for tick in chart.x_ticks], [tick.label for tick in chart.x_ticks])
    axes.set_yticks([tick.at for tick in chart.y_ticks], [tick.label for tick in chart.y_ticks])
    axes.grid(color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    for point in chart.points:
        colour = _COLOURS[1] if point.sampled else _COLOURS[0]
        axes.plot([point.x] * 2, [point.low, point.high], color=colour, linewidth=0.8, alpha=0.6)
        axes.plot(point.x, point.y, "o", markersize=5.5, color=colour, mfc="white" if point.sampled else colour)
        if point.leader:
            axes.plot([point.x, point.label_x], [point.y, point.label_y - 4], color="#59616b", linewidth=0.6)
        side = {"start": "left", "end": "right"}[point.anchor]
        axes.text(point.label_x, point.label_y, _label(point.title), ha=side, va="baseline", fontsize=8)
    axes.set(xlabel="seconds per question beyond the greedy answer", ylabel="AUROC")
    figure.suptitle(f"{_title(view)} (hollow: samples answers)", fontsize="medium")
    return figure
