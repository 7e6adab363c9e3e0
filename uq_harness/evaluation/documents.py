"""Questions and their reference answers from the hub's data sets, and which local files replace them.

Whatever the source, a task's documents have the two fields ``question`` (text) and ``answers`` (list of texts).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from uq_harness.errors import UQHarnessError, close_names
from uq_harness.files import not_blank

if TYPE_CHECKING:
    from datasets import Dataset

log = logging.getLogger(__name__)


def sciq(dataset: Dataset) -> Dataset:
    """SciQ (``allenai/sciq``): one right answer each."""
    return _questions(dataset, lambda row: [row["correct_answer"]])


def trivia_qa(dataset: Dataset) -> Dataset:
    """TriviaQA (``mandarjoshi/trivia_qa``): all aliases of the answer."""
    return _questions(dataset, lambda row: row["answer"]["aliases"])


def truthful_qa(dataset: Dataset) -> Dataset:
    """TruthfulQA (``truthfulqa/truthful_qa``): the answers that its authors call correct."""
    return _questions(dataset, lambda row: row["correct_answers"])


def trivia_qa_examples(dataset: Dataset) -> Dataset:
    """TriviaQA as worked examples: the answer's own form, which is seldom the first of its aliases."""
    return _questions(dataset, lambda row: [row["answer"]["value"]])


def truthful_qa_examples(dataset: Dataset) -> Dataset:
    """TruthfulQA as worked examples: the answer that its authors call the best."""
    return _questions(dataset, lambda row: [row["best_answer"]])


def _questions(dataset: Dataset, answers: Callable[[Mapping[str, Any]], list[str]]) -> Dataset:
    """The data set reduced to questions and answers that are not blank."""
    return dataset.map(
        lambda row: {"question": row["question"], "answers": not_blank(answers(row))},
        remove_columns=[column for column in dataset.column_names if column not in ("question", "answers")],
    )


def data_file(data_files: Any, task: str, name: str = "data_files") -> str | None:
    """The local file that ``--metadata '{"data_files": …}'`` gives a task: one path for all, or one by task name.

    Args:
        data_files: What the user gave.
        task: The task's name.
        name: What the entry under ``--metadata`` is called.

    Raises:
        UQHarnessError: It is neither.
    """
    if data_files is None or isinstance(data_files, str):
        return data_files
    if isinstance(data_files, Mapping) and all(isinstance(file, str) for file in data_files.values()):
        close = close_names(task, data_files, 1, 0.85)
        if close and task not in data_files:
            log.warning("%s names %r and not %s: is it meant?", name, close[0], task)
        return data_files.get(task)
    raise UQHarnessError(
        f'{name} is {data_files!r}: give a path, or a path by task name such as {{"{task}": "questions.jsonl"}}'
    )
