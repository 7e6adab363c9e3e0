"""How the scores of correct and of wrong answers are spread: a row a method, under one legend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from uq_harness.functional import FloatArray
from uq_harness.rendering.figures import Marks
from uq_harness.report.axes import BLUE, ORANGE, frame, label, set_ticks
from uq_harness.report.curves import Histogram
from uq_harness.report.tables import method_title

NOTE = (
    "Share of each class in 24 bins of the score, uncertainty growing to the right; the outermost bins hold the rest. "
    "On the right the scores at both ends. Each row has its own scale, for scores of different methods have different "
    "units, and some are below 0."
)


def draw_ridges(axes: Any, histograms: Mapping[str, Histogram], marks: Marks) -> None:
    """Draws the shares of correct answers filled, of wrong ones as a line, the highest bin of each row equally high."""
    bins = max(len(one.correct) for one in histograms.values())
    axes.set(xlim=(0, bins), ylim=(len(histograms) - 0.5, -0.6))
    frame(axes, (), marks)
    set_ticks(axes.xaxis, [], [], marks)
    rows = np.arange(len(histograms)) + 0.4
    set_ticks(axes.yaxis, list(rows), [label(method_title(name)) for name in histograms], marks)
    for text in axes.get_yticklabels():
        text.set_verticalalignment("bottom")
    for row, found in zip(rows, histograms.values(), strict=True):
        height = 0.9 / max(found.correct.max(), found.wrong.max())
        (filled,) = axes.fill(*_steps(found.correct, row, height), color=BLUE, alpha=0.45, linewidth=0)
        marks.add(filled, "right")
        if found.wrong.any():
            (line,) = axes.plot(*_steps(found.wrong, row, height), color=ORANGE, linewidth=1.1, clip_on=False)
            marks.add(line, "wrong")
        scale = ", log" if found.logarithmic else ""
        ends = f"{_short(found.edges[0])} to {_short(found.edges[-1])}{scale}"
        text = axes.text(1.015, row, ends, transform=axes.get_yaxis_transform(), va="bottom", ha="left")
        marks.add(text, "tick")


def _steps(shares: FloatArray, row: float, height: float) -> tuple[FloatArray, FloatArray]:
    """The outline of a histogram, upwards from its row."""
    across = np.repeat(np.arange(len(shares) + 1), 2)
    up = np.concatenate([[0.0], np.repeat(shares, 2), [0.0]])
    return across.astype(np.float64), row - height * up


def _short(value: float) -> str:
    """A number in few letters.

    >>> [_short(value) for value in (0.0, 0.0123, -8.31, 131.4, 2e-5)]
    ['0', '0.012', '-8.3', '131', '2e-5']
    """
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}"
    return f"{value:.0e}".replace("e-0", "e-")
