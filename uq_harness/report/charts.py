"""Geometry of the page's charts: numbers become positions in a drawing, and the template writes them as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uq_harness.functional import FloatArray
from uq_harness.report.curves import Curve, Histogram

SLOTS = 6  # colours of lines that are told apart
_LETTER = 6.6  # width of a letter at 12 px, to keep labels apart


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its position in the drawing, and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Series:
    """A line of a chart.

    Attributes:
        method: The method's name.
        title: Its name for readers.
        path: SVG path.
        slot: Its colour, 1 to 6; 0 for a line in the background.
    """

    method: str
    title: str
    path: str
    slot: int


@dataclass(frozen=True)
class LineChart:
    """A chart of several lines.

    Attributes:
        title: What it shows.
        note: How to read it.
        x_label: Name of the horizontal axis.
        y_label: Name of the vertical axis.
        frame: Plotting area: left, top, right, bottom.
        x_ticks: Marks of the horizontal axis.
        y_ticks: Marks of the vertical axis.
        series: Lines, those in the background first.
        chance: SVG path of what a score that tells nothing would give.
    """

    title: str
    note: str
    x_label: str
    y_label: str
    frame: tuple[float, float, float, float]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    series: tuple[Series, ...]
    chance: str


@dataclass(frozen=True)
class HistogramChart:
    """Two histograms over each other: correct answers filled, wrong ones as an outline."""

    method: str
    title: str
    note: str
    right: str
    wrong: str
    x_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Point:
    """A method in the picture of cost against AUROC, with its label and the ends of its error bar."""

    title: str
    x: float
    y: float
    low: float
    high: float
    label_x: float
    label_y: float
    anchor: str
    leader: bool
    sampled: bool
    note: str


@dataclass(frozen=True)
class ScatterChart:
    """Cost against AUROC, one point a method."""

    frame: tuple[float, float, float, float]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    points: tuple[Point, ...]


FRAME = (62.0, 10.0, 470.0, 282.0)
SMALL = (4.0, 4.0, 216.0, 84.0)
WIDE = (60.0, 12.0, 900.0, 372.0)


def roc_chart(curves: Mapping[str, Curve], titles: Mapping[str, str], slots: Mapping[str, int]) -> LineChart:
    """ROC curves of a run's methods."""
    return _lines(
        "ROC curves",
        "Wrong answers found against right ones flagged, over all thresholds; dotted: chance",
        ("right answers flagged", "wrong answers flagged"),
        1.0,
        curves,
        titles,
        slots,
        Curve(np.array([0.0, 1.0]), np.array([0.0, 1.0])),
    )


def risk_chart(
    curves: Mapping[str, Curve], titles: Mapping[str, str], slots: Mapping[str, int], error_rate: float
) -> LineChart:
    """Risk-coverage curves of a run's methods."""
    top = highest_risk(curves, error_rate)
    return _lines(
        "Risk-coverage curves",
        "Error rate when only the most certain answers are given; dotted: all answers",
        ("coverage", "error rate"),
        top,
        curves,
        titles,
        slots,
        Curve(np.array([0.0, 1.0]), np.array([error_rate, error_rate])),
    )


def highest_risk(curves: Mapping[str, Curve], error_rate: float) -> float:
    """Upper end of the axis of risk-coverage curves.

    The most certain few answers can all be wrong; the picture is of the rest.
    """
    highest = max((float(np.max(curve.y[curve.x >= 0.05], initial=0.0)) for curve in curves.values()), default=0.0)
    return _nice_top(max(highest, error_rate, 0.01))


def _lines(
    title: str,
    note: str,
    labels: tuple[str, str],
    top: float,
    curves: Mapping[str, Curve],
    titles: Mapping[str, str],
    slots: Mapping[str, int],
    chance: Curve,
) -> LineChart:
    left, upper, right, lower = FRAME
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    series = [
        Series(name, titles[name], _path(curve, FRAME, top), slots.get(name, 0)) for name, curve in curves.items()
    ]
    return LineChart(
        title=title,
        note=note,
        x_label=labels[0],
        y_label=labels[1],
        frame=FRAME,
        x_ticks=tuple(Tick(left + (right - left) * t, f"{100 * t:.0f} %") for t in ticks),
        y_ticks=tuple(Tick(lower - (lower - upper) * t, f"{100 * top * t:.3g} %") for t in ticks),
        series=tuple(sorted(series, key=lambda one: (one.slot > 0, -one.slot))),
        chance=_path(chance, FRAME, top),
    )


def _path(curve: Curve, frame: tuple[float, float, float, float], top: float) -> str:
    left, upper, right, lower = frame
    x = left + (right - left) * curve.x
    y = lower - (lower - upper) * np.minimum(curve.y / top, 1.0)
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


def _nice_top(value: float) -> float:
    """The smallest multiple of a twentieth, fiftieth, … that is not below a value between 0 and 1.

    >>> _nice_top(0.33), _nice_top(0.034)
    (0.4, 0.04)
    """
    step = 10.0 ** math.floor(math.log10(value))
    return min(1.0, float(f"{next(m for m in (1, 2, 3, 4, 5, 6, 8, 10) if m * step >= value * (1 - 1e-9)) * step:.6g}"))


def histogram_chart(method: str, title: str, found: Histogram) -> HistogramChart:
    """One method's histograms of correct and of wrong answers."""
    left, upper, right, lower = SMALL
    tallest = max(found.correct.max(), found.wrong.max(), 1e-9)
    x = np.linspace(left, right, len(found.edges))

    def steps(shares: FloatArray, close: bool) -> str:
        y = lower - (lower - upper) * shares / tallest
        tops = "".join(f"V{b:.1f}H{a:.1f}" for a, b in zip(x[1:], y, strict=True))
        return f"M{left:.1f} {lower:.1f}{tops}V{lower:.1f}" + ("Z" if close else "")

    ends = (Tick(left, _short(found.edges[0])), Tick(right, _short(found.edges[-1])))
    return HistogramChart(
        method,
        title,
        "log scale" if found.logarithmic else "",
        steps(found.correct, close=True),
        steps(found.wrong, close=False) if found.wrong.any() else "",
        ends,
    )


def _short(value: float) -> str:
    return f"{value:.2g}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.0e}".replace("e-0", "e-")


def scatter_chart(points: Sequence[tuple[str, float, float, float, bool]]) -> ScatterChart:
    """Cost against AUROC.

    Args:
        points: Title, seconds per question beyond the answer, AUROC, its standard error, whether the method samples.
    """
    left, upper, right, lower = WIDE
    positive = [cost for _, cost, *_ in points if cost > 0]
    start = math.floor(math.log10(min(positive))) if positive else -3
    end = max(math.ceil(math.log10(max(positive))) if positive else -2, start + 1)
    free = 80.0  # room at the left for what costs nothing
    scale = (right - left - free) / (end - start)
    lows = [value - (error if math.isfinite(error) else 0) for _, _, value, error, _ in points]
    highs = [value + (error if math.isfinite(error) else 0) for _, _, value, error, _ in points]
    step = 0.05 if max(highs) - min(lows) <= 0.35 else 0.1
    bottom, top = (
        step * round_to(value / step) for round_to, value in ((math.floor, min(lows)), (math.ceil, max(highs)))
    )
    top = max(top, bottom + step)

    def across(cost: float) -> float:
        return left + free + scale * (math.log10(cost) - start) if cost > 0 else left + free / 3

    def up(value: float) -> float:
        return lower - (lower - upper) * (value - bottom) / (top - bottom)

    placed = [
        (title, across(cost), up(value), value, error, cost, sampled) for title, cost, value, error, sampled in points
    ]
    labels = _place_labels([(title, x, y) for title, x, y, *_ in placed], WIDE)
    x_ticks = [Tick(across(10.0**power), f"{10.0**power:g} s") for power in range(start, end + 1)]
    if any(cost <= 0 for _, cost, *_ in points):
        x_ticks.insert(0, Tick(across(0), "0"))
    count = round((top - bottom) / step)
    return ScatterChart(
        frame=WIDE,
        x_ticks=tuple(x_ticks),
        y_ticks=tuple(Tick(up(bottom + step * n), f"{100 * (bottom + step * n):.0f} %") for n in range(count + 1)),
        points=tuple(
            Point(
                title,
                x,
                y,
                up(value - error) if math.isfinite(error) else y,
                up(value + error) if math.isfinite(error) else y,
                *label,
                sampled,
                f"{title}: AUROC {100 * value:.2f} %, {cost:.3g} s",
            )
            for (title, x, y, value, error, cost, sampled), label in zip(placed, labels, strict=True)
        ),
    )


def _place_labels(
    points: Sequence[tuple[str, float, float]], frame: tuple[float, float, float, float]
) -> list[tuple[float, float, str, bool]]:
    """Where labels go: the first place around the point that meets no other label and no point."""
    taken = [(x - 6, y - 6, x + 6, y + 6) for _, x, y in points]
    labels = []
    for title, x, y in points:
        width = _LETTER * len(title)
        best: tuple[float, float, float, str, bool, tuple[float, float, float, float]] | None = None
        for distance in (0, 14, 28, 42, 56, 70, 84):
            for dx, dy, anchor in (
                (9, 4, "start"),
                (-9, 4, "end"),
                (9, -8, "start"),
                (9, 16, "start"),
                (-9, -8, "end"),
                (-9, 16, "end"),
            ):
                at_x, at_y = x + dx, y + dy + math.copysign(distance, dy - 5)
                begin = at_x if anchor == "start" else at_x - width
                box = (begin - 2, at_y - 11, begin + width + 2, at_y + 3)
                outside = box[0] < frame[0] or box[2] > frame[2] + 40 or box[1] < frame[1] - 8 or box[3] > frame[3]
                overlap = sum(_overlap(box, other) for other in taken) + (1e4 if outside else 0)
                if best is None or overlap < best[0]:
                    best = (overlap, at_x, at_y, anchor, distance > 0, box)
            if best is not None and best[0] == 0:
                break
        assert best is not None
        taken.append(best[5])
        labels.append(best[1:5])
    return labels


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
