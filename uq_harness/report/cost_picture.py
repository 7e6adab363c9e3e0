"""AUROC against cost on a logarithmic axis, with the methods that no cheaper one reaches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from uq_harness.rendering.figures import Marks
from uq_harness.report.axes import AMBER, BLUE, GREEN, ORANGE, SOFT, frame, label, name_axis, set_ticks
from uq_harness.report.cost import FAMILIES
from uq_harness.report.labels import place_labels

_FREE = 1 / 7  # share of the axis of costs, at its left, for what costs nothing
_CHANCE = 0.5
_STEPS = 30  # points for which a piece of the line stands where labels are placed
# Marker, colour and the marker's inside of each family; the page knows them as `family1` to `family4`.
_LOOKS = (("o", BLUE, BLUE), ("s", GREEN, GREEN), ("^", AMBER, AMBER), ("o", ORANGE, "white"))
NOTE = (
    "The line joins the methods that no cheaper one reaches; only they have names and bars, which are 95 % intervals. "
    "Cost: seconds per question beyond the greedy answer, of all that a method reads if no other is chosen. Methods "
    "below 50 % lie on the lower edge."
)


class CostPoint(NamedTuple):
    """A method in the picture of cost against AUROC.

    Attributes:
        title: Its name for readers.
        cost: Seconds per question beyond the answer.
        auroc: Its AUROC.
        stderr: The error of that; ``nan`` where there is none.
        family: What it reads, one of `cost.FAMILIES`.
    """

    title: str
    cost: float
    auroc: float
    stderr: float
    family: str

    @property
    def note(self) -> str:
        """What a reader who points at it is told."""
        return f"{self.title}: AUROC {100 * self.auroc:.2f} %, {self.cost:.3g} s, {self.family}"


def pareto_front(points: Sequence[CostPoint]) -> list[CostPoint]:
    """The methods that none of the same cost or cheaper reaches, the cheapest first.

    >>> points = [CostPoint("a", 0, 0.7, 0, ""), CostPoint("b", 2, 0.8, 0, ""), CostPoint("c", 1, 0.7, 0, "")]
    >>> [point.title for point in pareto_front(points)]
    ['a', 'b']
    """
    front: list[CostPoint] = []
    for point in sorted(points, key=lambda one: (one.cost, -one.auroc)):
        if not front or point.auroc > front[-1].auroc:
            front.append(point)
    return front


def draw_cost(axes: Any, points: Sequence[CostPoint], marks: Marks, size: float) -> None:
    """Draws one point a method.

    Args:
        axes: Where to; what else is in the figure must be there already.
        points: The methods.
        marks: Gets the elements' marks.
        size: Font size of the labels, which that of the points follows.
    """
    front = pareto_front(points)
    across = _cost_axis(axes, points, marks)
    bottom = _auroc_axis(axes, points, front, marks)
    frame(axes, ("left", "bottom"), marks)
    at = {point: (across(point.cost), max(point.auroc, bottom)) for point in points}
    (line,) = axes.plot(*zip(*(at[p] for p in front), strict=True), color=SOFT, linewidth=0.9, drawstyle="steps-post")
    marks.add(line, "front")
    for point in points:
        marker, colour, face = _LOOKS[FAMILIES.index(point.family)]
        if point in front and math.isfinite(point.stderr) and point.stderr > 0:
            reach = 1.96 * point.stderr
            ends = [max(bottom, point.auroc - reach), min(1.0, point.auroc + reach)]
            marks.add(axes.plot([at[point][0]] * 2, ends, color=colour, linewidth=0.8, alpha=0.6)[0], "whisker")
        (dot,) = axes.plot(
            *at[point], marker, markersize=0.6 * size, markerfacecolor=face, color=colour, clip_on=False, zorder=3
        )
        marks.add(dot, f"point family{FAMILIES.index(point.family) + 1}", point.note)
    _name(axes, front, points, at, marks, size)


def _name(
    axes: Any,
    named: Sequence[CostPoint],
    points: Sequence[CostPoint],
    at: dict[CostPoint, tuple[float, float]],
    marks: Marks,
    size: float,
) -> None:
    axes.figure.draw_without_rendering()  # lays out the axes, so that positions on paper are known
    others = [at[point] for point in points if point not in named]
    for before, after in pairwise(named):  # labels also keep off the line
        (start, height), (end, _) = at[before], at[after]
        others += [(start + (end - start) * step / _STEPS, height) for step in range(1, _STEPS)]
    places = place_labels(axes, [(point.title, *at[point]) for point in named], size, others)
    for point, place in zip(named, places, strict=True):
        if place.far:
            ends = [at[point][0], place.x], [at[point][1], place.y]
            marks.add(axes.plot(*ends, color=SOFT, linewidth=0.6, zorder=1.5)[0], "leader")
        text = axes.text(
            place.x, place.y, label(point.title), ha=place.side, va="baseline", fontsize=size, in_layout=False
        )
        marks.add(text, "name", point.note)


def add_legend(axes: Any, points: Sequence[CostPoint]) -> None:
    """Says which marker is which family; a page has that in its text."""
    from matplotlib.lines import Line2D

    present = {point.family for point in points}
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=colour, markerfacecolor=face, markersize=4, label=family)
        for family, (marker, colour, face) in zip(FAMILIES, _LOOKS, strict=True)
        if family in present
    ]
    axes.figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)


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
    set_ticks(axes.xaxis, [at for at, _ in ticks], [text for _, text in ticks], marks)
    name_axis(axes.xaxis, "seconds per question beyond the greedy answer", marks)
    return across


def _auroc_axis(axes: Any, points: Sequence[CostPoint], front: Sequence[CostPoint], marks: Marks) -> float:
    """Lays out the axis of AUROC, from chance on if any method is better; returns its lower end."""
    errors = [1.96 * point.stderr if math.isfinite(point.stderr) else 0.0 for point in front]
    lowest = min(point.auroc for point in points)
    low = max(lowest, _CHANCE) if front[-1].auroc > _CHANCE else lowest
    high = min(1.0, max(point.auroc + error for point, error in zip(front, errors, strict=True)))
    step = 0.05 if high - low <= 0.35 else 0.1
    bottom = step * math.floor(low / step + 1e-9)
    top = max(step * math.ceil(high / step - 1e-9), bottom + step)
    ticks = [bottom + step * n for n in range(round((top - bottom) / step) + 1)]
    axes.set_ylim(bottom, top)
    set_ticks(axes.yaxis, ticks, [f"{100 * tick:.0f} %" for tick in ticks], marks)
    name_axis(axes.yaxis, "AUROC", marks)
    return bottom
