"""Tables as data: methods down, models and tasks across; every format is written from these."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from uq_harness.evaluation.metrics import FEW_MEANS
from uq_harness.functional import MEASURES
from uq_harness.methods import all_methods
from uq_harness.report.combined import NAME as COMBINED
from uq_harness.report.published.tables import paper_table
from uq_harness.report.quality import UNDEFINED, Estimate, Ranking, average
from uq_harness.report.run import RunSummary

TITLES = {"auroc": "AUROC ↑", "aurc": "AURC ↓", "prr": "PRR ↑"}
COMBINED_TITLE = "All together"
IN_BOLD = "Best of each column in bold"
WHY_NOT_IN_ORDER = (
    "The test compares two methods question by question, so a lower number can have the mark where a higher one does "
    "not."
)


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
    """A column's heading.

    Attributes:
        group: The heading above it.
        title: Its own name.
        digits: Digits behind the decimal point in its column where they are not the table's.
    """

    group: str
    title: str
    digits: int | None = None


@dataclass(frozen=True)
class Row:
    """A row.

    Attributes:
        name: Its short name.
        title: Its name for readers.
        cells: One a column.
        digits: Digits behind the decimal point where they are not the table's.
        ranked: Whether it takes part where rows are sorted; else it stays below the others.
    """

    name: str
    title: str
    cells: tuple[Cell, ...]
    digits: int | None = None
    ranked: bool = True


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
        mean_first: Whether its first column is the mean of others.
        sorted: Whether its rows are sorted by its first column.
    """

    name: str
    title: str
    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]
    digits: int = 2
    higher_is_better: bool = True
    rows_are: str = "method"
    mean_first: bool = False
    sorted: bool = False

    def digits_of(self, row: Row, column: int) -> int:
        """Digits behind the decimal point in a cell: the row's, else the column's, else the table's."""
        heading = self.headings[column]
        return next((digits for digits in (row.digits, heading.digits) if digits is not None), self.digits)

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
        columns: Runs with one judge, models together; behind several stands the plain mean over all of them.
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
    if any(column.combined for column in columns):
        together = [column.combined.get(measure, UNDEFINED) for column in columns]
        cells = [Cell.percent(one) for one in together]
        if len(columns) > 1:
            mean = average([column.combined.get(measure, UNDEFINED) for column in counted])
            cells.append(Cell.percent(mean))
        rows.append(Row(COMBINED, COMBINED_TITLE, tuple(cells), ranked=False))
    caption = _caption(measure, rows, alpha)
    return Table(measure, TITLES[measure], caption, tuple(headings), tuple(rows), 2, MEASURES[measure])


def ranking_table(
    measure: str, columns: Sequence[RunSummary], overall: Mapping[str, Ranking], alpha: float = 0.05
) -> Table:
    """Methods ranked by one measure: first each model's mean over its tasks, then the runs; sorted by the first column.

    Runs of one model with other settings are different models here, and no mean is taken over models.

    Args:
        measure: ``auroc``, ``aurc`` or ``prr``.
        columns: Runs with one judge, models together.
        overall: How the methods rank over the tasks of each model.
        alpha: Level of the tests.
    """
    means, singles = [], []
    for model in dict.fromkeys(column.model for column in columns):
        own = [column for column in columns if column.model == model]
        table = quality_table(measure, own, overall[model], alpha)
        found = [
            (heading, {row.name: row.cells[at] for row in table.rows}) for at, heading in enumerate(table.headings)
        ]
        if len(own) > 1:
            _, cells = found.pop()
            counted = sum(column.ranking.best is not None for column in own)
            if counted > 1:
                means.append((Heading(f"Mean over {counted} tasks", model), cells))
        singles += found
    several = len({column.model for column in columns}) > 1
    if not several:
        means = [(Heading("", heading.group.removesuffix(" tasks")), cells) for heading, cells in means]
    chosen = [(replace(heading, digits=_digits(cells.values())), cells) for heading, cells in (*means, *singles)]
    names = order_of_methods([name for column in columns for name in column.quality])
    combined = [COMBINED] if any(COMBINED in cells for _, cells in chosen) else []
    rows = [
        Row(
            name,
            COMBINED_TITLE if name in combined else method_title(name),
            tuple(cells.get(name, Cell(math.nan)) for _, cells in chosen),
            ranked=name not in combined,
        )
        for name in (*(name for name in names if name not in combined), *combined)
    ]
    table = Table(
        measure,
        TITLES[measure],
        _caption(measure, rows, alpha),
        tuple(heading for heading, _ in chosen),
        tuple(rows),
        2,
        MEASURES[measure],
        mean_first=bool(means),
    )
    return by_value(table)


def by_value(table: Table) -> Table:
    """A table with its ranked rows sorted by the first column, the best first, rows without a number behind."""
    sign = -1 if table.higher_is_better else 1

    def place(row: Row) -> tuple[bool, bool, float]:
        value = row.cells[0].value
        return not row.ranked, math.isnan(value), sign * value

    return replace(table, rows=tuple(sorted(table.rows, key=place)), sorted=True)


def in_order(table: Table, methods: Sequence[str]) -> Table:
    """A table with its ranked rows in the order of their names; as it is where there are none."""
    if not methods:
        return table
    place = {name: at for at, name in enumerate(methods)}
    rows = sorted(table.rows, key=lambda row: place.get(row.name, len(place)))
    return replace(table, rows=tuple(rows), sorted=False)


def _digits(cells: Iterable[Cell]) -> int:
    """Digits behind the point of a column: a second one says nothing where an error is larger than 1."""
    return 1 if any(cell.stderr > 1 for cell in cells) else 2


def _caption(measure: str, rows: Sequence[Row], alpha: float) -> str:
    parts = [f"Percent ± standard error. {IN_BOLD}"]
    if any(not row.ranked for row in rows):
        parts.append(f"“{COMBINED_TITLE}” combines the scores above it and is not ranked with them")
    if measure == "auroc":
        parts.append(f"† not told apart from the best (paired DeLong test, Holm's correction, α = {alpha:g})")
    if any(cell.few for row in rows for cell in row.cells):
        parts.append(FEW_MEANS)
    caption = f"{'; '.join(parts)}."
    if any(cell.not_worse for row in rows for cell in row.cells):
        caption += f" {WHY_NOT_IN_ORDER}"
    return caption


def _marked(estimates: dict[str, Estimate], measure: str, ranking: Ranking) -> dict[str, Cell]:
    """The cells of a column; where several share the best value, one of them is marked."""
    sign = 1 if MEASURES[measure] else -1
    finite = {name: sign * one.value for name, one in estimates.items() if math.isfinite(one.value)}
    first = [name for name, value in finite.items() if value == max(finite.values())]
    best = ranking.best if ranking.best in first else next(iter(first), None)
    return {
        name: Cell.percent(one, best=name == best, not_worse=measure == "auroc" and name in ranking.not_worse)
        for name, one in estimates.items()
    }
