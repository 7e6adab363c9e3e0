"""Looks that the report's figures share: colours, ticks, names of axes.

Figures are drawn into matplotlib's axes. The page writes these as SVG in its own style, by the marks that the elements
get; the picture files have the looks that are given here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from uq_harness.rendering.escape import visible
from uq_harness.rendering.figures import Marks

# Okabe and Ito's colours, told apart by colour-blind readers.
BLUE, ORANGE, GREEN, AMBER = "#0072B2", "#D55E00", "#009E73", "#B07A00"
GRID, CONTEXT, SOFT = "#e3e6ea", "#a9b1bb", "#59616b"


def label(text: str) -> str:
    """A text that matplotlib does not take for mathematics."""
    return visible(text).replace("$", r"\$")


def shortened(text: str, letters: int) -> str:
    """A text of at most so many letters.

    >>> shortened("truthfulqa", 6), shortened("sciq", 6)
    ('truth…', 'sciq')
    """
    return text if len(text) <= letters else text[: max(1, letters - 1)] + "…"


def set_ticks(axis: Any, at: Sequence[float], labels: Sequence[str], marks: Marks, *, grid: bool = True) -> None:
    """Labels without strokes, and a line across the axes at each of them."""
    axis.set_ticks(at, labels)
    axis.set_tick_params(length=0, pad=4)
    axis.axes.set_axisbelow(True)
    if grid:
        axis.grid(color=GRID, linewidth=0.6)
        for line in axis.get_gridlines():
            marks.add(line, "grid")
    for text in axis.get_ticklabels():
        marks.add(text, "tick")


def name_axis(axis: Any, text: str, marks: Marks) -> None:
    """The name of an axis."""
    axis.set_label_text(text)
    marks.add(axis.label, "axis")


def frame(axes: Any, sides: Sequence[str], marks: Marks) -> None:
    """Lines at some sides of the axes, and none at the others."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in sides)
        if side in sides:
            spine.set_linewidth(0.6)
            spine.set_color(SOFT)
            marks.add(spine, "frame")


def nice_top(value: float) -> float:
    """The smallest multiple of a twentieth, fiftieth, … that is not below a value between 0 and 1.

    >>> nice_top(0.33), nice_top(0.034)
    (0.4, 0.04)
    """
    step = 10.0 ** math.floor(math.log10(value))
    return min(1.0, float(f"{next(m for m in (1, 2, 3, 4, 5, 6, 8, 10) if m * step >= value * (1 - 1e-9)) * step:.6g}"))
