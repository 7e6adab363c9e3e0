"""Leaderboard: every method of every run as a row of one page and one CSV file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from uq_harness.files import plain
from uq_harness.rendering.escape import csv_text
from uq_harness.rendering.pages import render
from uq_harness.report.csv import as_csv
from uq_harness.report.quality import UNDEFINED, Estimate
from uq_harness.report.run import RunSummary, summarize
from uq_harness.report.tables import method_title, order_of_methods
from uq_harness.results.run import TaskRun
from uq_harness.results.settings import as_label, telling_settings

# The settings in a results file that the page shows for one task.
_SHOWN = (
    "model_name",
    "model_source",
    "config",
    "n-samples",
    "n-shot",
    "versions",
    "lm_eval_version",
    "transformers_version",
    "git_hash",
    "system_instruction",
    "chat_template_sha",
    "total_evaluation_time_seconds",
)
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


@dataclass(frozen=True)
class Entry:
    """One method in one run; a run without scores has one entry without a method.

    Attributes:
        model: The model's name as lm_eval prints it.
        settings: Settings in which runs of this model differ, as a line; empty where all are alike.
        task: The task.
        judge: The judge of correctness.
        method: The method; empty for a run without scores.
        questions: Number of answers.
        accuracy: Share of right answers.
        auroc: The method's AUROC.
        aurc: Its AURC.
        prr: Its PRR.
        answer_seconds: Seconds per question of the greedy answer alone.
        extra_seconds: Seconds per question that the method adds.
        date: When the run was made, ISO 8601.
        versions: Versions of the task and of the software.
        results: The results file.
        configuration: The run's configuration as JSON.
        run: Number of the run, for links within the page.
    """

    model: str
    settings: str
    task: str
    judge: str
    method: str
    questions: int
    accuracy: Estimate
    auroc: Estimate
    aurc: Estimate
    prr: Estimate
    answer_seconds: float
    extra_seconds: float
    date: str
    versions: Mapping[str, str]
    results: Path
    configuration: str
    run: int

    @property
    def label(self) -> str:
        """The model with the settings that tell its runs apart."""
        return f"{self.model} ({self.settings})" if self.settings else self.model


def collect_entries(runs: Iterable[TaskRun]) -> list[Entry]:
    """All methods of all runs, the newest run first."""
    newest_first = sorted(runs, key=lambda run: -run.date.timestamp() if run.date else math.inf)
    told = telling_settings(newest_first)
    return [
        entry
        for number, (run, settings) in enumerate(zip(newest_first, told, strict=True), 1)
        for entry in _entries(summarize(run, run.model, alpha=0.05), as_label(settings), number)
    ]


def _entries(column: RunSummary, settings: str, number: int) -> list[Entry]:
    run = column.run
    configuration = _configuration(run)
    return [
        Entry(
            model=run.model,
            settings=settings,
            task=run.task,
            judge=run.judge,
            method=method,
            questions=column.questions,
            accuracy=column.accuracy,
            auroc=column.quality.get(method, {}).get("auroc", UNDEFINED),
            aurc=column.quality.get(method, {}).get("aurc", UNDEFINED),
            prr=column.quality.get(method, {}).get("prr", UNDEFINED),
            answer_seconds=column.seconds,
            extra_seconds=column.costs.extra.get(method, math.nan),
            date=run.date.isoformat(timespec="seconds") if run.date else "",
            versions=run.versions,
            results=run.path,
            configuration=configuration,
            run=number,
        )
        for method in order_of_methods(list(column.quality)) or [""]
    ]


def _configuration(run: TaskRun) -> str:
    """The part of a results file that says how this task was run, as JSON."""
    shown: dict[str, Any] = {key: run.configuration[key] for key in _SHOWN if key in run.configuration}
    shown["task"] = run.task_settings
    return json.dumps(plain(shown), indent=2, ensure_ascii=False, default=str)


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
