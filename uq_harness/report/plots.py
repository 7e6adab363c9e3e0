"""The report's figures as PNG and SVG files."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from uq_harness.rendering.figures import Marks, new_figure, save
from uq_harness.report.content import Report
from uq_harness.report.figures import RunFigures, draw_cost, draw_histogram, draw_risk, draw_roc, label
from uq_harness.report.run import RunSummary
from uq_harness.report.tables import method_title


def write_plots(report: Report, figures: dict[str, RunFigures], folder: Path) -> list[Path]:
    """Curves, histograms and cost of every run, each as PNG and SVG."""
    files: list[Path] = []
    stems: set[str] = set()
    for summary in report.runs:
        found = figures[summary.id]
        if not found.methods:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        stem = "_".join(map(_file_name, (summary.model, summary.task, summary.judge)))
        if stem in stems:
            stem += f"_{summary.id}"
        stems.add(stem)
        files += save(_curves(summary, found), folder / f"{stem}_curves")
        files += save(_histograms(summary, found), folder / f"{stem}_histograms")
        if found.costs:
            files += save(_cost(summary, found), folder / f"{stem}_cost")
    return files


def _file_name(text: str) -> str:
    """Letters, digits and a few signs of a text, for a file's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.")[:60] or "unnamed"


def _curves(summary: RunSummary, found: RunFigures) -> Any:
    figure, marks = new_figure(10, 4.2), Marks()
    risk, roc = figure.subplots(1, 2)
    draw_risk(risk, found, marks)
    draw_roc(roc, found, marks)
    risk.set_title("Risk-coverage curves")
    roc.set_title("ROC curves")
    named = roc if found.roc else risk
    handles, labels = named.get_legend_handles_labels()
    named.legend(handles[::-1], labels[::-1], loc="lower right", fontsize="small", frameon=False)
    figure.suptitle(label(summary.name), fontsize="medium")
    return figure


def _histograms(summary: RunSummary, found: RunFigures) -> Any:
    columns = min(4, len(found.histograms))
    rows = math.ceil(len(found.histograms) / columns)
    figure, marks = new_figure(2.6 * columns, 1.5 * rows + 0.6), Marks()
    figure.get_layout_engine().set(wspace=0.06, hspace=0.06)
    grid = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axes, (name, one) in zip(grid, found.histograms.items(), strict=False):
        draw_histogram(axes, one, marks)
        axes.tick_params(labelsize=7)
        axes.set_title(label(method_title(name)) + (" (log)" if one.logarithmic else ""), fontsize=8)
    for axes in grid[len(found.histograms) :]:
        axes.set_axis_off()
    figure.suptitle(f"{label(summary.name)}: scores of correct (filled) and wrong answers (line)", fontsize="medium")
    return figure


def _cost(summary: RunSummary, found: RunFigures) -> Any:
    figure = new_figure(9.6, 4.6)
    figure.suptitle(f"{label(summary.name)} (hollow: samples answers)", fontsize="medium")
    draw_cost(figure.subplots(), found.costs, Marks(), size=8)
    return figure
