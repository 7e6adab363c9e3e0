"""Worked examples before the question, for ``--num_fewshot``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from random import Random
from typing import Any

from lm_eval.api.samplers import ContextSampler

from uq_harness.errors import UQHarnessError
from uq_harness.functional.text import normalize_answer

Document = Mapping[str, Any]


class ExampleSampler(ContextSampler):  # type: ignore[misc]  # lm_eval has no types
    """Draws the worked examples for a question: other questions, each once, with their answers.

    They depend on the question and the seed alone, so that they are the same on every process, with every ``--limit``,
    and after a killed run. lm_eval's own sampler goes on from one question to the next.

    Args:
        read: Reads the documents to draw from; called when the first example is needed.
        task: The task's name, for messages.

    Attributes:
        asked: The question that the next examples are for; neither it nor a copy of it is drawn.
    """

    def __init__(self, read: Callable[[], Iterable[Document]], task: str) -> None:
        super().__init__()
        self.asked = ""
        self._read, self._task, self._seed = read, task, 0

    def set_rnd(self, rnd: int | None) -> ExampleSampler:
        """Takes lm_eval's few-shot seed."""
        self._seed = rnd or 0
        return self

    def sample(self, n: int, *_: Any, **__: Any) -> list[Document]:
        """The examples for the question in `asked`.

        Raises:
            UQHarnessError: There are not so many other questions.
        """
        pool, asked = self._pool, _same(self.asked)
        drawn = Random(f"{self._seed} {asked}").sample(range(len(pool)), min(n + 1, len(pool)))
        chosen = [pool[i] for i in drawn if _same(pool[i]["question"]) != asked][:n]
        if len(chosen) < n:
            raise UQHarnessError(
                f"{self._task}: --num_fewshot {n} needs {n} other questions as worked examples, and there are "
                f"{len(chosen)}: lower it, or name a file with more of them: --metadata "
                f"fewshot_files.{self._task}=examples.jsonl"
            )
        return chosen

    @cached_property
    def _pool(self) -> list[Document]:
        """The documents with an answer, each question once."""
        distinct: dict[str, Document] = {}
        for document in self._read():
            if document["answers"]:
                distinct.setdefault(_same(document["question"]), document)
        return list(distinct.values())


def _same(question: str) -> str:
    """What questions that are the same have in common."""
    return normalize_answer(question) or question
