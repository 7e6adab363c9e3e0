"""The forest plot: every method's AUROC in every column of a table, with its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from uq_harness.rendering.figures import Marks
from uq_harness.report.axes import AMBER, BLUE, CONTEXT, SOFT, frame, label, set_ticks, shortened
from uq_harness.report.tables import Cell, Row, Table

_Z = 1.959963984540054  # standard errors on each side of a 95 % interval
NOTE = (
    "AUROC in percent with 95 % intervals (1.96 standard errors). Filled: the best of its column; hollow: not told "
    "apart from it; grey: worse by the paired test, which can tell methods apart whose intervals overlap. Dotted: the "
    "best; 50 % is chance."
)
# What a cell is, with the colours of its line, its point and the point's inside.
_KINDS = (
    ("worse", CONTEXT, CONTEXT, CONTEXT),
    ("equal", BLUE, BLUE, "white"),
    ("best", BLUE, BLUE, BLUE),
    ("together", AMBER, AMBER, AMBER),
)


def forest_rows(table: Table) -> list[Row]:
    """The rows that have a number."""
    return [row for row in table.rows if any(math.isfinite(cell.value) for cell in row.cells)]


def ends(cell: Cell) -> tuple[float, float]:
    """The 95 % interval of a cell; its number twice where that has no error.

    >>> [round(end, 2) for end in ends(Cell(98.0, 2.0))]
    [94.08, 100]
    """
    reach = _Z * cell.stderr if math.isfinite(cell.stderr) else 0.0
    return max(0.0, cell.value - reach), min(100, cell.value + reach)


def draw_forest(panels: Sequence[Any], table: Table, columns: Sequence[int], marks: Marks, letters: int) -> None:
    """Draws columns of a table.

    Args:
        panels: Axes, one a column, from left to right.
        table: AUROC in percent.
        columns: Which of its columns.
        marks: Gets the elements' marks.
        letters: How many letters of a column's name there is room for.
    """
    rows = forest_rows(table)
    low, high = _range(table, rows)
    step = 10 if high - low <= 40 else 20
    ticks = [float(tick) for tick in range(low, high + 1) if tick % step == 0]
    groups = len({heading.group for heading in table.headings if heading.group}) > 1
    for number, (axes, column) in enumerate(zip(panels, columns, strict=True)):
        axes.set(xlim=(low, high), ylim=(len(rows) - 0.5, -0.5))
        frame(axes, ("bottom",), marks)
        set_ticks(axes.xaxis, ticks, [f"{tick:.0f}" for tick in ticks], marks)
        titles = [label(row.title) for row in rows] if number == 0 else [""] * len(rows)
        set_ticks(axes.yaxis, list(range(len(rows))), titles, marks, grid=False)
        heading = table.headings[column]
        names = [heading.group, heading.title] if groups else [heading.title]
        title = axes.set_title("\n".join(label(shortened(name, letters)) for name in names if name))
        marks.add(title, "name", " · ".join(name for name in names if name))
        _draw_column(axes, [row.cells[column] for row in rows], [row.ranked for row in rows], marks)


def _range(table: Table, rows: Sequence[Row]) -> tuple[int, int]:
    """Ends of the axes, which all columns share: multiples of 10 that hold every interval."""
    found = [ends(cell) for row in rows for cell in row.cells if math.isfinite(cell.value)]
    low = 10 * math.floor(min(low for low, _ in found) / 10)
    return low, max(10 * math.ceil(max(high for _, high in found) / 10), low + 10)


def _draw_column(axes: Any, cells: Sequence[Cell], ranked: Sequence[bool], marks: Marks) -> None:
    best = next((cell.value for cell in cells if cell.best), None)
    if best is not None:
        marks.add(axes.axvline(best, color=SOFT, linestyle=":", linewidth=0.8, zorder=1.5), "chance")
    kinds = [_kind(cell, one) for cell, one in zip(cells, ranked, strict=True)]
    for kind, line_colour, edge, face in _KINDS:
        chosen = [
            (at, cell)
            for at, (cell, own) in enumerate(zip(cells, kinds, strict=True))
            if own == kind and math.isfinite(cell.value)
        ]
        if not chosen:
            continue
        across = [x for _, cell in chosen for x in (*ends(cell), math.nan)]
        down = [y for at, _ in chosen for y in (at, at, math.nan)]
        (line,) = axes.plot(across, down, color=line_colour, linewidth=1.1, solid_capstyle="butt")
        marks.add(line, f"interval {kind}")
        places = [cell.value for _, cell in chosen], [at for at, _ in chosen]
        (dots,) = axes.plot(*places, "o", markersize=4, color=edge, markerfacecolor=face, clip_on=False, zorder=3)
        marks.add(dots, f"dot {kind}")


def _kind(cell: Cell, ranked: bool) -> str:
    if not ranked:
        return "together"
    return "best" if cell.best else "equal" if cell.not_worse else "worse"
