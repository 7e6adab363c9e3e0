"""Published tables as data: one JSON file a table, with its source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from uq_harness.errors import UQHarnessError, one_of

PAPER_TABLES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class ReferenceColumn:
    """What a column of a published table is about.

    Attributes:
        model: The model's name on the hub; ``None`` where the table does not say.
        model_title: The model's name in the publication.
        task: The task of this package with the same questions.
        task_title: The task's name in the publication.
        judge: The judge of correctness of this package that comes closest; ``None`` where correctness does not matter.
    """

    model: str | None
    model_title: str | None
    task: str
    task_title: str
    judge: str | None


@dataclass(frozen=True)
class ReferenceRow:
    """One row of a published table.

    Attributes:
        title: The row's name in the publication.
        method: The method of this package; ``None`` for a row that is not a method.
        options: The method's options that differ from the defaults; ``None`` where they are not known.
        values: One number a column, in the table's unit.
        averages: The averages that the publication prints behind them.
    """

    title: str
    method: str | None
    options: Mapping[str, Any] | None
    values: tuple[float, ...]
    averages: tuple[float, ...]


@dataclass(frozen=True)
class ReferenceTable:
    """A published table.

    Attributes:
        source: The publication.
        table: The table's number there.
        caption: What it shows, in our words.
        measure: ``auroc``, ``aurc`` or ``seconds``.
        unit: ``percent`` or ``seconds``.
        notes: What a reader has to know.
        columns: Its columns.
        rows: Its rows.
    """

    source: str
    table: int
    caption: str
    measure: str
    unit: str
    notes: tuple[str, ...]
    columns: tuple[ReferenceColumn, ...]
    rows: tuple[ReferenceRow, ...]


@cache
def paper_table(number: int) -> ReferenceTable:
    """A results table of Li et al., arXiv 2605.04638.

    Args:
        number: 1 (AUROC of every method), 2 (ablation of SemGrad), 3 (seconds per question), 4 (LLM judge next to BEM)
            or 5 (AURC of every method).

    Raises:
        UQHarnessError: There is no such table.

    >>> paper_table(5).measure
    'aurc'
    """
    if number not in PAPER_TABLES:
        raise UQHarnessError(f"the paper has no results table {number!r}: use {one_of([str(n) for n in PAPER_TABLES])}")
    text = (files(__package__) / "paper" / f"table_{number}.json").read_text(encoding="utf-8")
    raw = json.loads(text)
    columns = tuple(ReferenceColumn(**column) for column in raw.pop("columns"))
    rows = tuple(
        ReferenceRow(**{**row, "values": tuple(row["values"]), "averages": tuple(row["averages"])})
        for row in raw.pop("rows")
    )
    return ReferenceTable(**{**raw, "notes": tuple(raw["notes"])}, columns=columns, rows=rows)
