"""What was asked: runs are compared, and their numbers averaged, only where they answered the same questions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from uq_harness.files import plain
from uq_harness.results.run import TaskRun


@dataclass(frozen=True)
class QuestionSet:
    """The questions of a task with their references, and the judge of the answers.

    Attributes:
        id: Short name, the same wherever the same is asked and judged.
        task: The task.
        judge: The judge of correctness.
        count: Number of questions.
        ambiguous: Whether another set of the task has as many questions under that judge.
    """

    id: str
    task: str
    judge: str
    count: int
    ambiguous: bool = False

    @property
    def detail(self) -> str:
        """What tells it from other sets of the task."""
        noun = "question" if self.count == 1 else "questions"
        return f"{self.count:,} {noun}" + (f", set {self.id}" if self.ambiguous else "")

    @property
    def title(self) -> str:
        """Task and number of questions.

        >>> QuestionSet("1a2b3c4d", "uq_sciq", "token_recall", 1000).title
        'uq_sciq (1,000 questions)'
        """
        return f"{self.task} ({self.detail})"


def question_sets(runs: Sequence[TaskRun]) -> list[QuestionSet | None]:
    """What each run was asked; ``None`` for one that logged no samples, since no file tells."""
    found = [_question_set(run) if len(run) else None for run in runs]
    distinct = {one.id: one for one in found if one is not None}
    sizes = [(one.task, one.judge, one.count) for one in distinct.values()]
    return [one and replace(one, ambiguous=sizes.count((one.task, one.judge, one.count)) > 1) for one in found]


def _question_set(run: TaskRun) -> QuestionSet:
    asked = [run.task, run.judge, plain(dict(run.judge_settings)), sorted(run.keys)]
    text = json.dumps(asked, sort_keys=True, ensure_ascii=True, default=str)
    return QuestionSet(hashlib.sha256(text.encode()).hexdigest()[:8], run.task, run.judge, len(run))
