"""A request of an uncertainty task, told apart from other lm_eval requests by its type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from lm_eval.api.instance import Instance


class UQText(str):
    """A string in every respect, with the answer's record attached.

    lm_eval treats it as text everywhere: in filters, caches, gathers and sample logs. String methods return plain
    strings, without the record. One argument suffices to make one, because lm_eval calls ``type(result)(gold)``.

    Attributes:
        record: The answer's record; empty for a text that no ``uq-hf`` model wrote.

    >>> answer = UQText("Paris", {"answer_tokens": 2})
    >>> answer == "Paris", answer.record["answer_tokens"]
    (True, 2)
    """

    record: dict[str, Any]

    def __new__(cls, text: str = "", record: Mapping[str, Any] | None = None) -> UQText:
        """Attaches a copy of the record to the text."""
        self = super().__new__(cls, text)
        self.record = dict(record or {})
        return self


def record_of(response: str) -> dict[str, Any]:
    """The record that a response carries; empty where it carries none."""
    return getattr(response, "record", {})


@dataclass
class QuestionInstance(Instance):
    """An lm_eval request to answer a question.

    Attributes:
        question: The bare question, without the prompt around it.
        message: The user's message that puts the question, before any chat template.
    """

    question: str = ""
    message: str = ""

    @classmethod
    def of(cls, instance: Instance, question: str, message: str) -> QuestionInstance:
        """The same request, with its question and message."""
        own = {f.name: getattr(instance, f.name) for f in fields(Instance)}
        return cls(**own, question=question, message=message)
