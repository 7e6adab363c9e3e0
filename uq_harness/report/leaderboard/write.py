"""A leaderboard's files: the page, and its rows as CSV and Parquet."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from uq_harness.rendering.escape import csv_text, encodable
from uq_harness.rendering.pages import render
from uq_harness.report.csv import as_csv
from uq_harness.report.leaderboard.collect import Leaderboard
from uq_harness.report.leaderboard.entries import Entry, relative
from uq_harness.report.leaderboard.page_data import page_data
from uq_harness.report.tables import method_title

_Value = str | float | int | None
# Each column's name and value; a text, a number, or a count.
_COLUMNS: dict[str, Callable[[Entry], _Value]] = {
    "model": lambda entry: entry.model,
    "label": lambda entry: entry.label,
    "task": lambda entry: entry.task,
    "judge": lambda entry: entry.judge,
    "method": lambda entry: entry.method,
    "questions": lambda entry: entry.questions,
    "question_set": lambda entry: entry.asked.id if entry.asked else "",
    "accuracy": lambda entry: entry.accuracy.value,
    "accuracy_stderr": lambda entry: entry.accuracy.stderr,
    "auroc": lambda entry: entry.auroc.value,
    "auroc_stderr": lambda entry: entry.auroc.stderr,
    "aurc": lambda entry: entry.aurc.value,
    "aurc_stderr": lambda entry: entry.aurc.stderr,
    "prr": lambda entry: entry.prr.value,
    "prr_stderr": lambda entry: entry.prr.stderr,
    "rank_best": lambda entry: entry.rank and entry.rank[0],
    "rank_worst": lambda entry: entry.rank and entry.rank[1],
    "answer_seconds": lambda entry: entry.answer_seconds,
    "extra_seconds": lambda entry: entry.extra_seconds,
    "date": lambda entry: entry.date,
    "newest": lambda entry: int(entry.newest),
    "versions": lambda entry: ", ".join(f"{name} {number}" for name, number in entry.versions.items()),
    "few_right_or_wrong": lambda entry: int(entry.auroc.few),
    "settings": lambda entry: entry.settings,
}
_COUNTS = ("questions", "rank_best", "rank_worst", "newest", "few_right_or_wrong")
_TEXTS = ("model", "label", "task", "judge", "method", "question_set", "date", "versions", "settings", "results")
COLUMNS = (*_COLUMNS, "results")


def write_leaderboard(leaderboard: Leaderboard, folder: Path, title: str) -> list[Path]:
    """Writes ``leaderboard.html``, ``leaderboard.csv`` and ``leaderboard.parquet``.

    No file holds an absolute path. A results file that is not in the folder or next to it is named, and not linked.

    Args:
        leaderboard: What to write.
        folder: Where to; made if it does not exist.
        title: The page's title.

    Returns:
        The files, the page first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page, table, parquet = (folder / f"leaderboard.{suffix}" for suffix in ("html", "csv", "parquet"))
    rows = [
        [*(column(entry) for column in _COLUMNS.values()), relative(entry.results, folder) or entry.results.name]
        for entry in leaderboard.entries
    ]
    page.write_text(_page(leaderboard, folder, title), encoding="utf-8")
    table.write_text(as_csv(COLUMNS, [list(map(_csv_value, row)) for row in rows]), encoding="utf-8")
    _write_parquet(rows, parquet)
    return [page, table, parquet]


def _page(leaderboard: Leaderboard, folder: Path, title: str) -> str:
    entries = leaderboard.entries
    return render(
        "leaderboard.html",
        title=title,
        version=version("uq-harness"),
        alpha=leaderboard.alpha,
        entries=entries,
        runs=list({entry.run: entry for entry in entries}.values()),
        links={entry.run: _link(entry.results, folder) for entry in entries},
        notes=leaderboard.notes,
        data=page_data(leaderboard),
        ranked=bool(leaderboard.boards),
        histories=leaderboard.histories,
        choices={
            "label": ("Model", sorted({entry.label for entry in entries})),
            "task": ("Task", sorted({entry.task for entry in entries})),
            "judge": ("Judge", sorted({entry.judge for entry in entries})),
            "by": ("Method", sorted({method_title(entry.method) for entry in entries if entry.method})),
        },
        method_title=method_title,
    )


def _csv_value(value: _Value) -> object:
    if isinstance(value, str):
        return csv_text(value)
    if value is None or not math.isfinite(value):
        return ""
    return repr(value) if isinstance(value, float) else value


def _write_parquet(rows: list[list[Any]], file: Path) -> None:
    """The same rows with types: texts, whole numbers, and numbers, null where undefined."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema(
        [(name, pa.string() if name in _TEXTS else pa.int64() if name in _COUNTS else pa.float64()) for name in COLUMNS]
    )
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    arrays = [
        pa.array([_parquet_value(value) for value in column], field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    parquet.write_table(pa.Table.from_arrays(arrays, schema=schema), file)


def _parquet_value(value: _Value) -> _Value:
    if isinstance(value, str):
        return encodable(value)
    return None if value is None or not math.isfinite(value) else value


def _link(file: Path, folder: Path) -> str | None:
    """A results file as an address that works from a page in the folder, ``None`` where it is too far away.

    ``./`` keeps a name from being taken for a scheme.

    >>> _link(Path("runs/a b/results_1.json"), Path("."))
    './runs/a%20b/results_1.json'
    """
    path = relative(file, folder)
    return None if path is None else "./" + quote(path.encode("utf-8", "surrogateescape"))
