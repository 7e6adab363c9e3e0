"""Where the labels of points go, so that none covers another label or a point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

_SIZE = 12.0  # the font size for which all distances here are given
_LETTER = 6.6  # width of a letter
_DISTANCES = (0, 14, 28, 42, 56, 70, 84)
# Steps right and up from the point, and the side of the label that is there.
_STEPS = ((9, -4, "left"), (-9, -4, "right"), (9, 8, "left"), (9, -16, "left"), (-9, 8, "right"), (-9, -16, "right"))

Box = tuple[float, float, float, float]


class LabelPosition(NamedTuple):
    """Where a label goes.

    Attributes:
        x: Its left or right end, in data coordinates.
        y: Its baseline.
        side: Which end ``x`` is.
        far: Whether it is so far from its point that a line has to lead to it.
    """

    x: float
    y: float
    side: str
    far: bool


def place_labels(
    axes: Any, points: Sequence[tuple[str, float, float]], size: float, others: Sequence[tuple[float, float]] = ()
) -> list[LabelPosition]:
    """A position for each label: the first around its point that meets no other label and no point.

    Args:
        axes: Matplotlib's axes, laid out already.
        points: Text, and the point in data coordinates.
        size: Font size of the labels.
        others: Points without a label.
    """
    scale = axes.figure.dpi / 72 * size / _SIZE
    frame = axes.bbox.extents / scale
    on_paper = [(text, *(axes.transData.transform((x, y)) / scale)) for text, x, y in points]
    bare = [axes.transData.transform(at) / scale for at in others]
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in (*bare, *((x, y) for _, x, y in on_paper))]
    positions = []
    for text, x, y in on_paper:
        at_x, at_y, side, far, box = _best(x, y, _LETTER * len(text), taken, tuple(frame))
        taken.append(box)
        data_x, data_y = axes.transData.inverted().transform((at_x * scale, at_y * scale))
        positions.append(LabelPosition(float(data_x), float(data_y), side, far))
    return positions


def _best(x: float, y: float, width: float, taken: Sequence[Box], frame: Box) -> tuple[float, float, str, bool, Box]:
    """The place with the least overlap, near ones first."""
    found: tuple[float, float, str, bool, Box] | None = None
    least = math.inf
    for distance in _DISTANCES:
        for right, up, side in _STEPS:
            at_x, at_y = x + right, y + up + math.copysign(distance, up + 5)
            begin = at_x if side == "left" else at_x - width
            box = (begin - 2, at_y - 3, begin + width + 2, at_y + 11)
            outside = box[0] < frame[0] or box[2] > frame[2] + 40 or box[1] < frame[1] or box[3] > frame[3] + 8
            overlap = sum(_overlap(box, other) for other in taken) + (1e4 if outside else 0)
            if overlap < least:
                least, found = overlap, (at_x, at_y, side, distance > 0, box)
        if least == 0:
            break
    assert found is not None
    return found


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
