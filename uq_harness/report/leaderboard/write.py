"""Writing the leaderboard's page and CSV file."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from uq_harness.rendering.escape import csv_text
from uq_harness.rendering.pages import render
from uq_harness.report.csv import as_csv
from uq_harness.report.leaderboard.rows import Entry
from uq_harness.report.tables import method_title

COLUMNS = (
    "model",
    "task",
    "judge",
    "method",
    "questions",
    "accuracy",
    "accuracy_stderr",
    "auroc",
    "auroc_stderr",
    "aurc",
    "aurc_stderr",
    "prr",
    "prr_stderr",
    "answer_seconds",
    "extra_seconds",
    "date",
    "versions",
    "results",
    "few_right_or_wrong",
    "settings",
)


def write_leaderboard(entries: Sequence[Entry], folder: Path, title: str) -> list[Path]:
    """Writes ``leaderboard.html`` and ``leaderboard.csv``.

    Args:
        entries: The rows.
        folder: Where to; made if it does not exist. Links to results files are relative to it.
        title: The page's title.

    Returns:
        Both files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page, table = folder / "leaderboard.html", folder / "leaderboard.csv"
    page.write_text(_page(entries, folder, title), encoding="utf-8")
    table.write_text(as_csv(COLUMNS, [_row(entry, folder) for entry in entries]), encoding="utf-8")
    return [page, table]


def _page(entries: Sequence[Entry], folder: Path, title: str) -> str:
    runs = {entry.run: entry for entry in entries}
    return render(
        "leaderboard.html",
        title=title,
        version=version("uq-harness"),
        entries=entries,
        runs=list(runs.values()),
        links={number: _link(entry.results, folder) for number, entry in runs.items()},
        choices=[
            ("Model", 0, sorted({entry.label for entry in entries})),
            ("Task", 1, sorted({entry.task for entry in entries})),
            ("Judge", 2, sorted({entry.judge for entry in entries})),
            ("Method", 3, sorted({method_title(entry.method) for entry in entries if entry.method})),
        ],
        method_title=method_title,
    )


def _row(entry: Entry, folder: Path) -> tuple[object, ...]:
    numbers = [
        number for one in (entry.accuracy, entry.auroc, entry.aurc, entry.prr) for number in (one.value, one.stderr)
    ]
    return (
        *map(csv_text, (entry.model, entry.task, entry.judge, entry.method)),
        entry.questions,
        *(_number(value) for value in (*numbers, entry.answer_seconds, entry.extra_seconds)),
        entry.date,
        csv_text(", ".join(f"{name} {number}" for name, number in entry.versions.items())),
        csv_text(_relative(entry.results, folder)),
        int(entry.auroc.few),
        csv_text(entry.settings),
    )


def _number(value: float) -> str:
    return repr(float(value)) if math.isfinite(value) else ""


def _relative(file: Path, folder: Path) -> str:
    """A file's path as seen from a folder."""
    return Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()


def _link(file: Path, folder: Path) -> str:
    """The same as an address that works from a page in the folder; ``./`` keeps a name from being taken for a scheme.

    >>> _link(Path("runs/a b/results_1.json"), Path("."))
    './runs/a%20b/results_1.json'
    """
    return "./" + quote(os.fsencode(_relative(file, folder)))
