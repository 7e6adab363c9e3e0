"""A model's runs along its checkpoints, or along the dates on which they were made."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from uq_harness.report.leaderboard.questions import QuestionSet
from uq_harness.results.run import TaskRun
from uq_harness.results.settings import answer_settings, as_label

# `@step1000`, `@checkpoint-500`, `run/checkpoint-500`, `run_step_500`, `@v3`: the last number of a revision, or of a
# folder that is called after a step.
_REVISION = re.compile(r"(?P<family>.+)@(?P<revision>[^@]+)")
_FOLDER = re.compile(
    r"(?P<family>.+?)[\\/_-](?:checkpoint|ckpt|step|iter|epoch)[-_]?(?P<step>\d+)[\\/]?", re.IGNORECASE
)
# Not the same in two checkpoints, whatever else is.
_OF_A_CHECKPOINT = ("model_sha",)


@dataclass(frozen=True)
class Point:
    """One run of a line.

    Attributes:
        row: Which of the runs.
        date: When it was made, ISO 8601; empty where unknown.
        step: The checkpoint's number; ``None`` for a model without.
        name: The checkpoint's name.
    """

    row: int
    date: str
    step: int | None
    name: str


@dataclass(frozen=True)
class History:
    """Runs of one model, with one choice of settings, over one set of questions.

    Attributes:
        family: The model without its checkpoint.
        settings: The settings in which its histories differ; empty where it has one.
        asked: What was asked.
        by_step: Whether checkpoints order the points, and not dates.
        points: In their order.
    """

    family: str
    settings: str
    asked: QuestionSet
    by_step: bool
    points: tuple[Point, ...]


def checkpoint_of(model: str) -> tuple[str, int | None, str]:
    """A model's name without its checkpoint, the checkpoint's number and its name.

    >>> checkpoint_of("org/pythia@step1000"), checkpoint_of("out/sft/checkpoint-500"), checkpoint_of("org/large")
    (('org/pythia', 1000, 'step1000'), ('out/sft', 500, 'checkpoint-500'), ('org/large', None, ''))
    """
    if found := _REVISION.fullmatch(model):
        numbers = re.findall(r"\d+", found["revision"])
        commit = re.fullmatch(r"[0-9a-f]{7,40}", found["revision"])
        return found["family"], int(numbers[-1]) if numbers and not commit else None, found["revision"]
    if found := _FOLDER.fullmatch(model):
        return found["family"], int(found["step"]), model[len(found["family"]) + 1 :].rstrip("\\/")
    return model, None, ""


def histories(runs: Sequence[TaskRun], asked: Sequence[QuestionSet | None]) -> list[History]:
    """The lines of all models with several runs over the same questions; the ones with the most points first.

    Args:
        runs: All runs with their repetitions.
        asked: What each was asked.
    """
    lines: dict[tuple[str, QuestionSet, tuple[tuple[str, str], ...]], list[Point]] = defaultdict(list)
    for row, (run, questions) in enumerate(zip(runs, asked, strict=True)):
        if questions is None:
            continue
        family, step, name = checkpoint_of(run.model)
        settings = {key: value for key, value in answer_settings(run).items() if key not in _OF_A_CHECKPOINT}
        date = run.date.isoformat(timespec="seconds") if run.date else ""
        lines[family, questions, tuple(sorted(settings.items()))].append(Point(row, date, step, name))
    several: dict[str, list[dict[str, str]]] = defaultdict(list)
    for family, _, settings_of_line in lines:
        several[family].append(dict(settings_of_line))
    found = []
    for (family, questions, settings_of_line), points in lines.items():
        steps = {point.step for point in points}
        by_step = None not in steps and len(steps) > 1
        if len(points) < 2 or not (by_step or all(point.date for point in points)):
            continue
        ordered = sorted(points, key=lambda point: (point.step or 0, point.date) if by_step else (0, point.date))
        mine = dict(settings_of_line)
        telling = {
            key: mine[key] for key in sorted(mine) if any(other.get(key) != mine[key] for other in several[family])
        }
        found.append(History(family, as_label(telling), questions, by_step, tuple(ordered)))
    return sorted(found, key=lambda one: (-len(one.points), one.family, one.asked.title, one.settings))
