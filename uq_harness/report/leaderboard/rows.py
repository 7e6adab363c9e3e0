"""Rows of the leaderboard: one method in one run, with what the run cost and how it was configured."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uq_harness.files import plain
from uq_harness.report.quality import UNDEFINED, Estimate
from uq_harness.report.run import Column, make_column
from uq_harness.report.tables import order_of_methods
from uq_harness.results.run import TaskRun
from uq_harness.results.settings import as_label, telling_settings

# What a results file says beside the metrics and is worth a reader's time, one task's part of it.
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
        for entry in _entries(make_column(run, run.model, alpha=0.05), as_label(settings), number)
    ]


def _entries(column: Column, settings: str, number: int) -> list[Entry]:
    run = column.run
    configuration = _configuration(run)
    return [
        Entry(
            model=run.model,
            settings=settings,
            task=run.task,
            judge=run.judge,
            method=method,
            questions=len(run) or run.reported_questions,
            accuracy=column.accuracy,
            auroc=column.quality.get(method, {}).get("auroc", UNDEFINED),
            aurc=column.quality.get(method, {}).get("aurc", UNDEFINED),
            prr=column.quality.get(method, {}).get("prr", UNDEFINED),
            answer_seconds=column.costs.answer,
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
