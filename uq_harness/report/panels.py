"""Risk-coverage and ROC curves: a panel a method, with its band, and the best method's curve behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from uq_harness.functional import FloatArray
from uq_harness.rendering.figures import Marks
from uq_harness.report.axes import BLUE, CONTEXT, SOFT, frame, nice_top, set_ticks
from uq_harness.report.curves import Curve

START = 0.05  # the coverage from which on there are enough answers for a curve
_SETTLED = 0.2  # the coverage from which on curves set the height of the axis
RISK_NOTE = (
    "Error rate (up) when only the most certain answers are given (share of them across), from 5 % on. Band: 95 % "
    "interval of each point by itself; grey: the best method; dotted: all answers. What is higher is cut off."
)
ROC_NOTE = (
    "Wrong answers that are flagged (up) against right ones that are (across), over all thresholds. Band: 95 % "
    "interval of each point by itself; grey: the best method; dotted: chance."
)


def risk_top(curves: Mapping[str, Curve], error_rate: float) -> float:
    """Upper end of the axis of all risk-coverage curves of a run; a few answers may go wrong above it."""
    highest = max((float(np.max(one.y[one.x >= _SETTLED], initial=0.0)) for one in curves.values()), default=0.0)
    return nice_top(max(highest, error_rate, 0.01))


def draw_risk(axes: Any, curve: Curve, best: Curve | None, error_rate: float, top: float, marks: Marks) -> None:
    """Draws a risk-coverage curve.

    Args:
        axes: Where to.
        curve: The curve.
        best: The best method's curve; ``None`` where this is it.
        error_rate: Share of wrong answers.
        top: Upper end of the axis.
        marks: Gets the elements' marks.
    """
    _draw(axes, curve, best, ([0, 1], [error_rate, error_rate]), top, marks)


def draw_roc(axes: Any, curve: Curve, best: Curve | None, marks: Marks) -> None:
    """Draws a ROC curve, with that of the best method unless this is it."""
    _draw(axes, curve, best, ([0, 1], [0, 1]), 1.0, marks)


def _draw(
    axes: Any, curve: Curve, best: Curve | None, chance: tuple[list[float], list[float]], top: float, marks: Marks
) -> None:
    axes.set(xlim=(0, 1), ylim=(0, top))
    set_ticks(axes.xaxis, [0, 0.5, 1], ["0", "50", "100 %"], marks)
    set_ticks(axes.yaxis, [0, top / 2, top], ["0", f"{50 * top:.3g}", f"{100 * top:.3g} %"], marks)
    frame(axes, ("left", "bottom"), marks)
    x, low, high = curve.x, np.minimum(curve.low, top), np.minimum(curve.high, top)
    (band,) = axes.fill(
        np.concatenate([x, x[::-1]]), np.concatenate([low, high[::-1]]), color=BLUE, alpha=0.2, linewidth=0
    )
    marks.add(band, "band")
    (line,) = axes.plot(*chance, color=SOFT, linestyle=":", linewidth=0.8)
    marks.add(line, "chance")
    if best is not None:
        (line,) = axes.plot(best.x, _below(best.y, top), color=CONTEXT, linewidth=1.2)
        marks.add(line, "series")
    (line,) = axes.plot(x, _below(curve.y, top), color=BLUE, linewidth=1.4)
    marks.add(line, "series on slot1")


def _below(heights: FloatArray, top: float) -> FloatArray:
    """Heights, with gaps where they are above the axes."""
    return np.where(heights <= top * (1 + 1e-9), np.minimum(heights, top), math.nan)
