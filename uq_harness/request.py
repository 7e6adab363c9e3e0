"""A request of an uncertainty task, told apart from other lm_eval requests by its type."""

from __future__ import annotations

from dataclasses import dataclass, fields

from lm_eval.api.instance import Instance


@dataclass
class QuestionInstance(Instance):
    """An lm_eval request to answer a question.

    Attributes:
        question: The bare question, without the prompt around it.
    """

    question: str = ""

    @classmethod
    def of(cls, instance: Instance, question: str) -> QuestionInstance:
        """The same request, with its question."""
        return cls(**{f.name: getattr(instance, f.name) for f in fields(Instance)}, question=question)
