"""Your numbers next to the paper's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from uq_harness.evaluation.metrics import FEW_MEANS
from uq_harness.report.published.tables import ReferenceColumn, ReferenceTable, paper_table
from uq_harness.report.quality import UNDEFINED
from uq_harness.report.run import RunSummary
from uq_harness.report.tables import Cell, Heading, Row, Table, method_title, order_of_methods

PAPER = "paper"
_LEFT_OUT = Cell(math.nan)


def beside_the_paper(columns: Sequence[RunSummary]) -> list[Table]:
    """The runs next to the paper's Tables 1, 4, 5 and 3, as far as they share tasks; nothing is tested across them.

    Differences are shown where a run's model is one of the paper's.
    """
    under_llm = [column for column in columns if column.run.judge == "llm_judge"]
    others = [column for column in columns if column.run.judge != "llm_judge"]
    tables = [
        _quality(paper_table(1), others, lambda column: True),
        _quality(paper_table(5), others, lambda column: True),
        _quality(paper_table(4), under_llm, lambda column: column.judge == "llm_judge"),
        _seconds(columns),
    ]
    return [table for table in tables if table is not None]


def _quality(
    reference: ReferenceTable, columns: Sequence[RunSummary], wanted: Callable[[ReferenceColumn], bool]
) -> Table | None:
    """AUROC or AURC of the runs, then the paper's, then the differences of equal models."""
    tasks = {column.task for column in columns}
    theirs = [at for at, column in enumerate(reference.columns) if column.task in tasks and wanted(column)]
    if not theirs:
        return None
    shared = {reference.columns[at].task for at in theirs}
    ours = [column for column in columns if column.task in shared]
    equal = [(column, at) for column in ours for at in theirs if _same(column, reference.columns[at])]
    rows = {row.method: row for row in reference.rows}
    measure = reference.measure
    methods = order_of_methods([*(name for column in ours for name in column.quality), *filter(None, rows)])

    def cells(name: str) -> tuple[Cell, ...]:
        found = [column.quality.get(name, {}).get(measure, UNDEFINED) for column in ours]
        published = {at: rows[name].values[at] if name in rows else math.nan for at in theirs}
        differences = [
            Cell(100 * column.quality.get(name, {}).get(measure, UNDEFINED).value - published[at])
            for column, at in equal
        ]
        return (
            *(Cell.percent(one) for one in found),
            *(Cell(published[at]) for at in theirs),
            *differences,
        )

    judges = list(dict.fromkeys(column.run.judge for column in ours))
    several = len(judges) > 1
    headings = [
        *(Heading(column.model, f"{column.task} ({column.run.judge})" if several else column.task) for column in ours),
        *(_heading(reference.columns[at], "paper") for at in theirs),
        *(_heading(reference.columns[at], "yours − paper") for _, at in equal),
    ]
    caption = (
        f"Percent; yours with standard error, judged by {', '.join(judges)}; the paper's judged by "
        f"{reference.columns[theirs[0]].judge}, without errors, so nothing is tested here."
    )
    if any(one.few for column in ours for found in column.quality.values() for one in found.values()):
        caption += f" {FEW_MEANS}."
    return Table(
        f"paper-table-{reference.table}",
        f"Beside the paper: {measure.upper()} (Table {reference.table})",
        caption,
        tuple(headings),
        tuple(Row(name, method_title(name), cells(name)) for name in methods),
        2,
        measure != "aurc",
    )


def _same(column: RunSummary, other: ReferenceColumn) -> bool:
    return column.run.model.partition("@")[0] == other.model and column.task == other.task


def _heading(column: ReferenceColumn, what: str) -> Heading:
    return Heading(f"{what}: {column.model_title}" if column.model_title else what, column.task_title)


def _seconds(columns: Sequence[RunSummary]) -> Table | None:
    """Seconds per question next to the paper's Table 3."""
    reference = paper_table(3)
    tasks = {column.task for column in columns}
    theirs = [at for at, column in enumerate(reference.columns) if column.task in tasks]
    shared = {reference.columns[at].task for at in theirs}
    ours = [column for column in columns if column.task in shared and not math.isnan(column.costs.answer)]
    if not ours:
        return None

    def cost(column: RunSummary, method: str | None) -> Cell:
        return Cell(column.costs.answer if method is None else column.costs.extra.get(method, math.nan))

    rows = [
        Row(
            row.method or "generation",
            row.title,
            (*(cost(column, row.method) for column in ours), *(Cell(row.values[at]) for at in theirs)),
        )
        for row in reference.rows
    ]
    return Table(
        "paper-table-3",
        "Beside the paper: seconds per question (Table 3)",
        "The greedy answer alone, then what each method adds; yours as recorded, shared stages in full.",
        (
            *(Heading(column.model, column.task) for column in ours),
            *(_heading(reference.columns[at], "paper") for at in theirs),
        ),
        tuple(rows),
        4,
        higher_is_better=False,
    )


def ablation_table(columns: Sequence[RunSummary]) -> list[Table]:
    """SemGrad of runs next to the variant of the paper's Table 2 that they ran; empty where no task is shared."""
    reference = paper_table(2)
    tasks = {column.task for column in columns if "semgrad" in column.quality}
    theirs = [at for at, column in enumerate(reference.columns) if column.task in tasks]
    if not theirs:
        return []
    shared = {reference.columns[at].task for at in theirs}
    ours = [column for column in columns if column.task in shared and "semgrad" in column.quality]
    rows = []
    for number, row in enumerate(reference.rows):
        found = [
            column.quality["semgrad"]["auroc"] if _variant(column) == row.options else UNDEFINED for column in ours
        ]
        cells = [Cell.percent(one) for one in found]
        rows.append(Row(f"variant-{number}", row.title, (*cells, *(Cell(row.values[at]) for at in theirs))))
    headings = [
        *(Heading(column.model, column.task) for column in ours),
        *(_heading(reference.columns[at], "paper") for at in theirs),
    ]
    return [
        Table(
            "paper-table-2",
            "Beside the paper: variants of SemGrad (Table 2)",
            "AUROC in percent. A run of yours stands in the row of the variant that it ran."
            + (f" {FEW_MEANS}." if any(column.quality["semgrad"]["auroc"].few for column in ours) else ""),
            tuple(headings),
            tuple(rows),
        )
    ]


def _variant(column: RunSummary) -> dict[str, object]:
    """The options of SemGrad in which a run differs from the paper's method."""
    used = column.run.model_settings.get("uncertainty")
    if not used:
        return {"unknown": True}
    defaults = {"semgrad_norm": "l1", "semgrad_reweight": True, "semgrad_layers": "top_half", "sp_token": "auto"}
    found = {key: used.get(key, default) for key, default in defaults.items() if used.get(key, default) != default}
    if str(found.get("sp_token")) in ("-1", "last"):
        found["sp_token"] = "last"
    elif "sp_token" in found:
        del found["sp_token"]  # a position or a file: some place for the same token
    return found


def reference_notes() -> list[str]:
    """The source, and what is not known of the published tables."""
    tables = [paper_table(number) for number in (1, 2, 3, 4, 5)]
    notes = [f"Table {table.table}: {note}" for table in tables for note in table.notes]
    return [f"The paper: {tables[0].source}; its judge is BEM unless a table says otherwise.", *notes]
