"""Tables as data: methods down, models and tasks across, an average at the end; every format is written from these."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from uq_harness.evaluation.metrics import FEW_MEANS
from uq_harness.functional import MEASURES
from uq_harness.methods import all_methods
from uq_harness.report.combined import NAME as COMBINED
from uq_harness.report.published.tables import paper_table
from uq_harness.report.quality import UNDEFINED, Estimate, Ranking, average
from uq_harness.report.run import RunSummary

TITLES = {"auroc": "AUROC ↑", "aurc": "AURC ↓", "prr": "PRR ↑"}
COMBINED_TITLE = "All together"


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Attributes:
        value: In the table's unit; ``nan`` where it is undefined or missing.
        stderr: Its standard error; ``nan`` where there is none.
        best: Whether it is the best of its column.
        not_worse: Whether it is not significantly worse than the best.
        few: Whether it comes from so few right or wrong answers that it means little.
    """

    value: float
    stderr: float = math.nan
    best: bool = False
    not_worse: bool = False
    few: bool = False

    @classmethod
    def percent(cls, estimate: Estimate, best: bool = False, not_worse: bool = False) -> Cell:
        """An estimate in percent."""
        return cls(100 * estimate.value, 100 * estimate.stderr, best, not_worse, estimate.few)


@dataclass(frozen=True)
class Heading:
    """A column's heading: the heading above it, and its own name."""

    group: str
    title: str


@dataclass(frozen=True)
class Row:
    """A row: its name, one cell a column, and its digits behind the decimal point where they are not the table's."""

    name: str
    title: str
    cells: tuple[Cell, ...]
    digits: int | None = None


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: Short name, for files and anchors.
        title: What its numbers are.
        caption: How to read it.
        headings: Its columns.
        rows: Its rows.
        digits: Digits behind the decimal point.
        higher_is_better: Direction of all its columns.
        rows_are: What each row is.
    """

    name: str
    title: str
    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]
    digits: int = 2
    higher_is_better: bool = True
    rows_are: str = "method"

    def digits_of(self, row: Row) -> int:
        """Digits behind the decimal point in a row."""
        return self.digits if row.digits is None else row.digits

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Headings' groups in order, each with the number of columns under it."""
        spans: list[tuple[str, int]] = []
        for heading in self.headings:
            if spans and spans[-1][0] == heading.group:
                spans[-1] = (heading.group, spans[-1][1] + 1)
            else:
                spans.append((heading.group, 1))
        return spans


def method_title(name: str) -> str:
    """The name of a method in tables; its own name where it is not installed.

    >>> method_title("semgrad"), method_title("gone")
    ('SemGrad', 'gone')
    """
    known = all_methods().get(name)
    return known.title if known else name


def order_of_methods(names: Sequence[str]) -> list[str]:
    """Methods in the order of the paper's Table 1, then those that it does not have."""
    paper = [row.method for row in paper_table(1).rows]
    known = [*(name for name in paper if name), *(name for name in all_methods() if name not in paper)]
    return sorted(dict.fromkeys(names), key=lambda name: (known.index(name) if name in known else len(known), name))


def quality_table(measure: str, columns: Sequence[RunSummary], overall: Ranking, alpha: float = 0.05) -> Table:
    """The paper's Table 1 for one measure: percent, best in each column marked; AUROC also marks its equals.

    Args:
        measure: ``auroc``, ``aurc`` or ``prr``.
        columns: Runs with one judge, models together.
        overall: How the methods rank over all columns.
        alpha: Level of the tests.
    """
    methods = order_of_methods([name for column in columns for name in column.quality])
    counted = [column for column in columns if column.ranking.best is not None]
    found = {name: [column.quality.get(name, {}).get(measure, UNDEFINED) for column in columns] for name in methods}
    averages = {
        name: average([column.quality.get(name, {}).get(measure, UNDEFINED) for column in counted]) for name in methods
    }
    marked = [_marked({name: found[name][at] for name in methods}, measure, c.ranking) for at, c in enumerate(columns)]
    headings = [Heading(column.model, column.task) for column in columns]
    if len(columns) > 1:
        marked.append(_marked(averages, measure, overall))
        headings.append(Heading("", "Avg."))
    rows = [Row(name, method_title(name), tuple(cells[name] for cells in marked)) for name in methods]
    caption = "Percent ± standard error. Best of each column in bold"
    if any(column.combined for column in columns):
        together = [column.combined.get(measure, UNDEFINED) for column in columns]
        cells = [Cell.percent(one) for one in together]
        if len(columns) > 1:
            mean = average([column.combined.get(measure, UNDEFINED) for column in counted])
            cells.append(Cell.percent(mean))
        rows.append(Row(COMBINED, COMBINED_TITLE, tuple(cells)))
        caption += f"; “{COMBINED_TITLE}” combines the scores above it and is not ranked with them"
    if measure == "auroc":
        caption += f"; † not significantly worse than the best (paired DeLong test, Holm's correction, α = {alpha:g})"
    if any(cell.few for row in rows for cell in row.cells):
        caption += f"; {FEW_MEANS}"
    return Table(measure, TITLES[measure], f"{caption}.", tuple(headings), tuple(rows), 2, MEASURES[measure])


def _marked(estimates: dict[str, Estimate], measure: str, ranking: Ranking) -> dict[str, Cell]:
    sign = 1 if MEASURES[measure] else -1
    best = max((sign * one.value for one in estimates.values() if math.isfinite(one.value)), default=math.nan)
    return {
        name: Cell.percent(
            one,
            best=sign * one.value == best,
            not_worse=measure == "auroc" and name in ranking.not_worse,
        )
        for name, one in estimates.items()
    }
