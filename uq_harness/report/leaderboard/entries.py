"""The rows of a leaderboard: every method of every run, with what the run was asked and how it was made."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uq_harness.files import plain
from uq_harness.rendering.paths import is_called_after_a_path, name_of_model, without_paths
from uq_harness.report.leaderboard.questions import QuestionSet
from uq_harness.report.quality import UNDEFINED, Estimate
from uq_harness.report.run import RunSummary
from uq_harness.report.tables import order_of_methods
from uq_harness.results.run import TaskRun

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


@dataclass(frozen=True)
class Entry:
    """One method in one run; a run without scores has one entry without a method.

    Attributes:
        run: Number of the run.
        label: The model with the settings that tell its runs apart.
        model: The model's name as lm_eval prints it; of a path, the last part.
        settings: Settings in which runs of this model differ, as a line; empty where all are alike.
        task: The task.
        judge: The judge of correctness.
        method: The method; empty for a run without scores.
        asked: What was asked; ``None`` where no samples tell.
        questions: Number of answers.
        accuracy: Share of right answers.
        auroc: The method's AUROC.
        aurc: Its AURC.
        prr: Its PRR.
        rank: Best and worst place among the run's methods by AUROC; ``None`` where there is no AUROC or no test.
        answer_seconds: Seconds per question of the greedy answer alone.
        extra_seconds: Seconds per question that the method adds.
        date: When the run was made, ISO 8601.
        versions: Versions of the task and of the software.
        results: The results file.
        configuration: The run's configuration as JSON, without paths.
        best: Whether the method has the run's highest AUROC.
        newest: Whether no later run repeats this one.
    """

    run: int
    label: str
    model: str
    settings: str
    task: str
    judge: str
    method: str
    asked: QuestionSet | None
    questions: int
    accuracy: Estimate
    auroc: Estimate
    aurc: Estimate
    prr: Estimate
    rank: tuple[int, int] | None
    answer_seconds: float
    extra_seconds: float
    date: str
    versions: Mapping[str, str]
    results: Path
    configuration: str
    best: bool
    newest: bool

    @property
    def when(self) -> str:
        """Day and minute."""
        return self.date[:16].replace("T", " ")


def entries_of(
    summary: RunSummary,
    number: int,
    settings: str,
    asked: QuestionSet | None,
    ranks: Mapping[str, tuple[int, int]],
    *,
    newest: bool,
) -> list[Entry]:
    """The rows of a run.

    Args:
        summary: The run, labelled.
        number: The run's number.
        settings: What tells it from other runs of its model.
        asked: What it was asked.
        ranks: Places of its methods by AUROC.
        newest: Whether no later run repeats it.
    """
    run = summary.run
    configuration = _configuration(run)
    return [
        Entry(
            run=number,
            label=summary.model,
            model=name_of_model(run.model),
            settings=settings,
            task=run.task,
            judge=run.judge,
            method=method,
            asked=asked,
            questions=summary.questions,
            accuracy=summary.accuracy,
            auroc=summary.quality.get(method, {}).get("auroc", UNDEFINED),
            aurc=summary.quality.get(method, {}).get("aurc", UNDEFINED),
            prr=summary.quality.get(method, {}).get("prr", UNDEFINED),
            rank=ranks.get(method),
            answer_seconds=summary.seconds,
            extra_seconds=summary.costs.extra.get(method, math.nan),
            date=run.date.isoformat(timespec="seconds") if run.date else "",
            versions=run.versions,
            results=run.path,
            configuration=configuration,
            best=method == summary.ranking.best,
            newest=newest,
        )
        for method in _best_first(summary) or [""]
    ]


def _best_first(summary: RunSummary) -> list[str]:
    """The methods by AUROC, undefined ones last; equally good ones in the usual order."""
    areas = {method: found["auroc"].value for method, found in summary.quality.items()}
    return sorted(
        order_of_methods(list(areas)), key=lambda method: -areas[method] if math.isfinite(areas[method]) else math.inf
    )


def _configuration(run: TaskRun) -> str:
    """The part of a results file that says how this task was run, as JSON."""
    shown: dict[str, Any] = {key: run.configuration[key] for key in _SHOWN if key in run.configuration}
    shown["task"] = run.task_settings
    return json.dumps(without_paths(plain(shown)), indent=2, ensure_ascii=False, default=str)


def relative(file: Path, folder: Path) -> str | None:
    """A file's path as seen from a folder; ``None`` where it would name folders that the two do not share.

    Both have to be in one folder, or in folders next to each other: a path that climbs further up tells how the machine
    is laid out. So does the folder that lm_eval names after the path of a local model.
    """
    path = os.path.relpath(file.resolve(), folder.resolve())
    parts = Path(path).parts
    if parts.count("..") > 1 or Path(path).is_absolute() or any(map(is_called_after_a_path, parts)):
        return None
    return Path(path).as_posix()
