"""A generated text that carries its uncertainty record through lm_eval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
