"""The figures of a run: error rate against coverage, ROC curves, histograms, and cost against AUROC.

They are drawn into matplotlib's axes. The page writes these as SVG in its own style, by the marks that the elements
get; the picture files have the looks that are given here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from uq_harness.methods import all_methods
from uq_harness.rendering.escape import visible
from uq_harness.rendering.figures import Marks
from uq_harness.report.curves import Curve, Histogram, histogram, risk_coverage_curve, roc_curve
from uq_harness.report.labels import place_labels
from uq_harness.report.run import RunSummary
from uq_harness.report.tables import method_title, order_of_methods

# Okabe and Ito's colours, told apart by colour-blind readers, with line styles for print.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_STYLES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (7, 2)), (0, (3, 1, 1, 1)))
_RIGHT, _WRONG = "#0072B2", "#D55E00"
_GRID, _CONTEXT, _SOFT = "#e3e6ea", "#c3c9d1", "#59616b"
_FREE = 2 / 21  # share of the axis of costs, at its left, for what costs nothing


class CostPoint(NamedTuple):
    """A method in the picture of cost against AUROC.

    Attributes:
        title: Its name for readers.
        cost: Seconds per question beyond the answer.
        auroc: Its AUROC.
        stderr: The error of that; ``nan`` where there is none.
        samples: Whether it samples answers.
    """

    title: str
    cost: float
    auroc: float
    stderr: float
    samples: bool

    @property
    def note(self) -> str:
        """What a reader who points at it is told."""
        return f"{self.title}: AUROC {100 * self.auroc:.2f} %, {self.cost:.3g} s"


@dataclass(frozen=True)
class RunFigures:
    """What is drawn of a run, in numbers; the page and the picture files are both made from it.

    Attributes:
        methods: The methods that score any answer, the best by AUROC first.
        slots: Colours of the first few of them, from 1.
        roc: ROC curves of those that have one.
        risk: Risk-coverage curves.
        histograms: Histograms of scores.
        costs: The methods of which both cost and AUROC are known.
        error_rate: Share of wrong answers.
    """

    methods: tuple[str, ...]
    slots: dict[str, int]
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
    risk = {name: risk_coverage_curve(run.uncertainty[name], run.correct) for name in methods}
    bars = {name: histogram(run.uncertainty[name], run.correct) for name in methods}
    return RunFigures(
        methods=tuple(methods),
        slots={name: slot for slot, name in enumerate(methods[: len(_COLOURS)], 1)},
        roc={name: curve for name, curve in roc.items() if curve},
        risk={name: curve for name, curve in risk.items() if curve},
        histograms={name: one for name, one in bars.items() if one},
        costs=tuple(_cost_points(summary)),
        error_rate=summary.error_rate,
    )


def _cost_points(summary: RunSummary) -> list[CostPoint]:
    known = all_methods()
    return [
        CostPoint(
            method_title(name),
            summary.costs.extra[name],
            found["auroc"].value,
            found["auroc"].stderr,
            name in known and known[name].sampling,
        )
        for name, found in summary.quality.items()
        if math.isfinite(found["auroc"].value) and math.isfinite(summary.costs.extra.get(name, math.nan))
    ]


def label(text: str) -> str:
    """A text that matplotlib does not take for mathematics."""
    return visible(text).replace("$", r"\$")


def draw_risk(axes: Any, figures: RunFigures, marks: Marks) -> None:
    """Draws risk-coverage curves."""
    top = highest_risk(figures.risk, figures.error_rate)
    chance = Curve(np.array([0.0, 1.0]), np.array([figures.error_rate] * 2))
    _draw_lines(axes, figures.risk, figures.slots, chance, top, marks)
    _name_axis(axes.xaxis, "coverage", marks)
    _name_axis(axes.yaxis, "error rate", marks)


def draw_roc(axes: Any, figures: RunFigures, marks: Marks) -> None:
    """Draws ROC curves."""
    chance = Curve(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    _draw_lines(axes, figures.roc, figures.slots, chance, 1.0, marks)
    _name_axis(axes.xaxis, "right answers flagged", marks)
    _name_axis(axes.yaxis, "wrong answers flagged", marks)


def highest_risk(curves: Mapping[str, Curve], error_rate: float) -> float:
    """Upper end of the axis of risk-coverage curves.

    The most certain few answers can all be wrong; the picture is of the rest.
    """
    highest = max((float(np.max(curve.y[curve.x >= 0.05], initial=0.0)) for curve in curves.values()), default=0.0)
    return _nice_top(max(highest, error_rate, 0.01))


def _nice_top(value: float) -> float:
    """The smallest multiple of a twentieth, fiftieth, … that is not below a value between 0 and 1.

    >>> _nice_top(0.33), _nice_top(0.034)
    (0.4, 0.04)
    """
    step = 10.0 ** math.floor(math.log10(value))
    return min(1.0, float(f"{next(m for m in (1, 2, 3, 4, 5, 6, 8, 10) if m * step >= value * (1 - 1e-9)) * step:.6g}"))


def _draw_lines(
    axes: Any, curves: Mapping[str, Curve], slots: Mapping[str, int], chance: Curve, top: float, marks: Marks
) -> None:
    """Curves up to the height ``top``; those in the background first."""
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    axes.set(xlim=(0, 1), ylim=(0, top))
    _set_ticks(axes.xaxis, shares, [f"{100 * share:.0f} %" for share in shares], marks)
    _set_ticks(axes.yaxis, [top * share for share in shares], [f"{100 * top * share:.3g} %" for share in shares], marks)
    _frame(axes, ("left", "bottom"), marks)
    (line,) = axes.plot(chance.x, chance.y, color=_SOFT, linestyle=":", linewidth=1, zorder=1.5)
    marks.add(line, "chance")
    for name in sorted(curves, key=lambda one: -slots.get(one, len(slots) + 1)):
        slot, curve = slots.get(name, 0), curves[name]
        (line,) = axes.plot(curve.x, np.minimum(curve.y, top), clip_on=False)
        if slot:
            line.set(color=_COLOURS[slot - 1], linestyle=_STYLES[slot - 1], linewidth=1.6, zorder=3)
            line.set_label(label(method_title(name)))
        else:
            line.set(color=_CONTEXT, linewidth=0.8)
        marks.add(line, f"series on slot{slot}" if slot else "series", method_title(name), method=name)


def draw_histogram(axes: Any, found: Histogram, marks: Marks) -> None:
    """Draws the shares of correct answers filled, of wrong ones as a line; bins are equally wide."""
    edges = np.arange(len(found.edges))
    axes.set(xlim=(0, edges[-1]), ylim=(0, max(found.correct.max(), found.wrong.max(), 1e-9)))
    _frame(axes, ("bottom",), marks)
    marks.add(axes.stairs(found.correct, edges, fill=True, color=_RIGHT, alpha=0.45), "right")
    if found.wrong.any():
        marks.add(axes.stairs(found.wrong, edges, color=_WRONG, linewidth=1.4, clip_on=False), "wrong")
    axes.set_yticks([])
    _set_ticks(axes.xaxis, [0, edges[-1]], [_short(found.edges[0]), _short(found.edges[-1])], marks, grid=False)
    for text, side in zip(axes.get_xticklabels(), ("left", "right"), strict=True):
        text.set_horizontalalignment(side)


def _short(value: float) -> str:
    return f"{value:.2g}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.0e}".replace("e-0", "e-")


def draw_cost(axes: Any, points: Sequence[CostPoint], marks: Marks, size: float) -> None:
    """Draws AUROC against cost on a logarithmic scale, one point a method.

    Args:
        axes: Where to; what else is in the figure must be there already.
        points: The methods.
        marks: Gets the elements' marks.
        size: Font size of the labels, which that of the points follows.
    """
    across = _cost_axis(axes, points, marks)
    _auroc_axis(axes, points, marks)
    _frame(axes, ("left", "bottom"), marks)
    for point in points:
        _draw_point(axes, across(point.cost), point, marks, size)
    axes.figure.draw_without_rendering()  # lays out the axes, so that positions on paper are known
    places = place_labels(axes, [(point.title, across(point.cost), point.auroc) for point in points], size)
    for point, at in zip(points, places, strict=True):
        if at.far:
            ends = [across(point.cost), at.x], [point.auroc, at.y]
            marks.add(axes.plot(*ends, color=_SOFT, linewidth=0.6, zorder=1.5)[0], "leader")
        text = axes.text(at.x, at.y, label(point.title), ha=at.side, va="baseline", fontsize=size, in_layout=False)
        marks.add(text, "name", point.note)


def _cost_axis(axes: Any, points: Sequence[CostPoint], marks: Marks) -> Callable[[float], float]:
    """Lays out the axis of costs; returns the place of a cost on it."""
    positive = [point.cost for point in points if point.cost > 0]
    start = math.floor(math.log10(min(positive))) if positive else -3
    end = max(math.ceil(math.log10(max(positive))) if positive else -2, start + 1)
    free = (end - start) * _FREE / (1 - _FREE)

    def across(cost: float) -> float:
        return math.log10(cost) if cost > 0 else start - free * 2 / 3

    ticks = [(float(power), f"{10.0**power:g} s") for power in range(start, end + 1)]
    if any(point.cost <= 0 for point in points):
        ticks.insert(0, (across(0), "0"))
    axes.set_xlim(start - free, end)
    _set_ticks(axes.xaxis, [at for at, _ in ticks], [text for _, text in ticks], marks)
    _name_axis(axes.xaxis, "seconds per question beyond the greedy answer", marks)
    return across


def _auroc_axis(axes: Any, points: Sequence[CostPoint], marks: Marks) -> None:
    errors = [point.stderr if math.isfinite(point.stderr) else 0.0 for point in points]
    low = min(point.auroc - error for point, error in zip(points, errors, strict=True))
    high = max(point.auroc + error for point, error in zip(points, errors, strict=True))
    step = 0.05 if high - low <= 0.35 else 0.1
    bottom = step * math.floor(low / step)
    top = max(step * math.ceil(high / step), bottom + step)
    ticks = [bottom + step * n for n in range(round((top - bottom) / step) + 1)]
    axes.set_ylim(bottom, top)
    _set_ticks(axes.yaxis, ticks, [f"{100 * tick:.0f} %" for tick in ticks], marks)
    _name_axis(axes.yaxis, "AUROC", marks)


def _draw_point(axes: Any, x: float, point: CostPoint, marks: Marks, size: float) -> None:
    colour, kind = (_COLOURS[1], " sampled") if point.samples else (_COLOURS[0], "")
    if math.isfinite(point.stderr) and point.stderr > 0:
        ends = [point.auroc - point.stderr, point.auroc + point.stderr]
        (bar,) = axes.plot([x, x], ends, color=colour, linewidth=0.8, alpha=0.6)
        marks.add(bar, f"whisker{kind}", point.note)
    face = "white" if point.samples else colour
    (dot,) = axes.plot(x, point.auroc, "o", markersize=0.75 * size, markerfacecolor=face, color=colour, clip_on=False)
    marks.add(dot, f"point{kind}", point.note)


def _set_ticks(axis: Any, at: Sequence[float], labels: Sequence[str], marks: Marks, *, grid: bool = True) -> None:
    """Labels without strokes, and a line across the axes at each of them."""
    axis.set_ticks(at, labels)
    axis.set_tick_params(length=0, pad=7)
    axis.axes.set_axisbelow(True)
    if grid:
        axis.grid(color=_GRID, linewidth=0.8)
        for line in axis.get_gridlines():
            marks.add(line, "grid")
    for text in axis.get_ticklabels():
        marks.add(text, "tick")


def _name_axis(axis: Any, text: str, marks: Marks) -> None:
    axis.set_label_text(text)
    marks.add(axis.label, "axis")


def _frame(axes: Any, sides: Sequence[str], marks: Marks) -> None:
    for side, spine in axes.spines.items():
        spine.set_visible(side in sides)
        if side in sides:
            marks.add(spine, "frame")
