"""The table of what runs cost that asked an engine or an endpoint: requests, tokens and money a question."""

from __future__ import annotations

import math
from collections.abc import Sequence

from uq_harness.report.run import RunSummary
from uq_harness.report.tables import Cell, Heading, Row, Table

_ROWS = (
    Row("requests", "requests", (), 2),
    Row("prompt_tokens", "tokens read", (), 1),
    Row("completion_tokens", "tokens written", (), 1),
    Row("price", "price", (), 6),
)


def served_tables(columns: Sequence[RunSummary]) -> list[Table]:
    """The table, with a row for whatever any run's records say; empty where none says how many requests it sent."""
    served = [column for column in columns if not math.isnan(column.costs.served["requests"])]
    if not served:
        return []
    several = len({column.judge for column in served}) > 1
    rows = [
        Row(row.name, row.title, tuple(Cell(column.costs.served[row.name]) for column in served), row.digits)
        for row in _ROWS
        if any(not math.isnan(column.costs.served[row.name]) for column in served)
    ]
    return [
        Table(
            "requests-and-tokens",
            "Requests and tokens a question",
            "Means over the questions, of all methods together. Requests and tokens are those of the run itself; the "
            "price, in the money of prompt_price and completion_price, is also that of replies that a journal held.",
            tuple(
                Heading(column.model, f"{column.task} ({column.judge})" if several else column.task)
                for column in served
            ),
            tuple(rows),
            higher_is_better=False,
            rows_are="cost",
        )
    ]
