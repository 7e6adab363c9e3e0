"""The questions to paraphrase: those of a task, or of a JSON lines file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uq_harness.errors import UQHarnessError
from uq_harness.files import question_and_texts, read_json_lines, user_path

_SHAPE = 'one JSON object a line, such as {"question": "Who ...?"}; "id" and "answers" are kept where they are there'


@dataclass(frozen=True)
class Question:
    """A question to paraphrase.

    Attributes:
        id: What its source calls it, else the source's name and the question's number from 0 on.
        question: The question.
        answers: Its reference answers; None where they are not known.
    """

    id: Any
    question: str
    answers: tuple[str, ...] | None = None


def questions_of_file(file: str | Path) -> list[Question]:
    """The distinct questions of a JSON lines file, in its order.

    Raises:
        UQHarnessError: The file does not exist or holds no question, or something is missing in a line.
    """
    path = user_path(file, "question file")
    found = []
    for number, (place, row) in enumerate(read_json_lines(path, "question file", _SHAPE)):
        text, answers = question_and_texts(place, {"answers": [], **row}, "answers", _SHAPE)
        known = tuple(answers) if "answers" in row else None
        found.append(Question(row.get("id", f"{path.stem}-{number}"), text, known))
    if not found:
        raise UQHarnessError(f"question file {str(path)!r} holds no question: it needs {_SHAPE}")
    return _distinct(found)


def questions_of_task(
    task: str, metadata: Mapping[str, Any] | None = None, include_path: str | None = None
) -> list[Question]:
    """The distinct questions of an uncertainty task, in its order.

    Args:
        task: The task's name.
        metadata: As lm_eval's ``--metadata``: local data, for example.
        include_path: A folder with further tasks.

    Raises:
        UQHarnessError: There is no such task, it is a group, its data cannot be had, or it has no questions.
    """
    from lm_eval.tasks import TaskManager

    from uq_harness import register

    register()  # lets every task manager know the package's tasks
    manager = TaskManager(metadata=dict(metadata or {}), include_path=include_path, include_defaults=False)
    manager.match_tasks([task])  # says so where a file of it cannot be loaded
    if task not in manager.all_subtasks:
        kind = "is a group, or a tag: name one of its tasks" if task in manager.all_tasks else "does not exist"
        raise UQHarnessError(
            f"task {task!r} {kind}: use one of {', '.join(manager.all_subtasks)}, or one of your own with include_path"
        )
    documents = manager.load([task])["tasks"][task].eval_docs
    if "question" not in documents.column_names:
        raise UQHarnessError(f"the documents of task {task!r} have no field 'question': use an uncertainty task")
    return _distinct(
        Question(
            row.get("id", f"{task}-{number}"), row["question"], tuple(row["answers"]) if "answers" in row else None
        )
        for number, row in enumerate(documents)
    )


def _distinct(questions: Iterable[Question]) -> list[Question]:
    """The first of each question's text: further ones would only be asked again."""
    first: dict[str, Question] = {}
    for question in questions:
        first.setdefault(question.question, question)
    return list(first.values())
