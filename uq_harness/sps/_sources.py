"""Where the questions of an analysis come from: paraphrase files, each with the task that puts its questions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uq_harness.errors import UQHarnessError, one_of
from uq_harness.paraphrase import Paraphrased, ParaphraseFile, read_paraphrases, single_spaced
from uq_harness.paths import user_path
from uq_harness.plugin import register_tasks
from uq_harness.task import UQTask

log = logging.getLogger(__name__)
# Puts questions as all tasks of the package do, and its data lie in the package.
_DEFAULT_TASK = "uq_demo"


@dataclass(frozen=True)
class Source:
    """A data set: questions with paraphrases, and how they are put to the model.

    Attributes:
        name: The data set's name.
        file: The paraphrase file.
        questions: The file's questions that are used.
        task: The task whose prompt puts them.
        documents: The task's documents by question, single spaced; ``None`` where the file's questions are not the
            task's own.
    """

    name: str
    file: ParaphraseFile
    questions: tuple[Paraphrased, ...]
    task: UQTask
    documents: Mapping[str, dict[str, Any]] | None

    def document(self, question: str, text: str) -> dict[str, Any]:
        """The document that puts ``text`` in the place of ``question``."""
        own = self.task.eval_docs[0] if self.documents is None else self.documents[single_spaced(question)]
        return {**own, "question": text}


def read_sources(
    files: Sequence[str],
    tasks: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    limit: int | None = None,
) -> list[Source]:
    """Reads paraphrase files, and checks them against their tasks.

    Args:
        files: Paths, or ``NAME=PATH``; without a name a file is called by its own name, and one that is called
            ``paraphrases`` by its folder's.
        tasks: For each file the task whose questions it has; none for the package's prompt without a check.
        metadata: lm_eval's ``--metadata`` for the tasks, such as ``data_files``.
        limit: Only the first so many questions of each file.

    Raises:
        UQHarnessError: Two data sets have the same name, a file cannot be used, a task does not exist, or a file has
            other questions than its task.
    """
    named = [_named(file) for file in files]
    names = [name for name, _ in named]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UQHarnessError(f"two data sets are called {twice[0]!r}: name them, as in --paraphrases NAME=FILE")
    if tasks and len(tasks) != len(files):
        raise UQHarnessError(
            f"--tasks names {len(tasks)} task(s) for {len(files)} paraphrase file(s): name one for each, in their order"
        )
    read = [read_paraphrases(path) for _, path in named]
    loaded = _load(list(tasks) or [_DEFAULT_TASK], metadata)
    sources = []
    for number, (name, file) in enumerate(zip(names, read, strict=True)):
        task = loaded[tasks[number]] if tasks else loaded[_DEFAULT_TASK]
        questions = file.questions[:limit]
        if len(questions) < 2:
            raise UQHarnessError(f"{name}: the score compares questions, and {file.path} gives only {len(questions)}")
        documents = _checked_documents(file, task) if tasks else None
        sources.append(Source(name, file, questions, task, documents))
    return sources


def _named(file: str) -> tuple[str, Path]:
    name, equals, path = file.partition("=")
    if equals and not user_path(file, "paraphrase file").exists():
        if not name or any(mark in name for mark in "/\\"):
            raise UQHarnessError(f"--paraphrases {file}: the name {name!r} cannot be part of a file's name")
        return name, Path(path)
    path_ = user_path(file, "paraphrase file")
    return (path_.resolve().parent.name if path_.stem == "paraphrases" else path_.stem), path_


def _load(names: Sequence[str], metadata: Mapping[str, Any] | None) -> dict[str, UQTask]:
    from lm_eval.tasks import TaskManager

    register_tasks()
    manager = TaskManager(include_defaults=False, metadata=dict(metadata or {}) or None)
    found = {}
    for name in names:
        try:
            tasks = list(manager.load([name])["tasks"].values())
        except KeyError:
            raise UQHarnessError(
                f"task {name!r} is unknown: use {one_of(manager.all_subtasks)}, or the path of your own task's YAML"
            ) from None
        if len(tasks) != 1 or not isinstance(tasks[0], UQTask):
            raise UQHarnessError(f"{name!r} is not one uncertainty task: use {one_of(manager.all_subtasks)}")
        found[name] = tasks[0]
    return found


def _checked_documents(file: ParaphraseFile, task: UQTask) -> dict[str, dict[str, Any]]:
    """The task's documents by question.

    Raises:
        UQHarnessError: The file has a question that the task does not have.
    """
    documents = {single_spaced(document["question"]): document for document in task.eval_docs}
    foreign = [one.question for one in file.questions if single_spaced(one.question) not in documents]
    if foreign:
        raise UQHarnessError(
            f"{file.path}: {len(foreign)} of {len(file.questions)} questions are not {task.config.task}'s, the first "
            f"is {foreign[0]!r}: give the paraphrases of that task's questions, or another --tasks"
        )
    missing = len(documents) - len(file.questions)
    if missing:
        log.warning(
            "%s has paraphrases for %d of the %d questions of %s: the score is that of these",
            file.path,
            len(file.questions),
            len(documents),
            task.config.task,
        )
    return documents
