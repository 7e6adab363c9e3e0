"""A request of an uncertainty task, told apart from other lm_eval requests by its type."""

from __future__ import annotations

from dataclasses import dataclass, fields

from lm_eval.api.instance import Instance


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
