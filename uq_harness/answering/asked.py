"""What an application gives as questions: any iterable of them, gone through once, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from uq_harness.errors import UQHarnessError

T = TypeVar("T")
_SHOWN = 200  # characters of what was given, in a message


def check_questions(questions: Any, call: str) -> None:
    """Refuses what cannot be gone through, and a single question, whose characters or messages would be questions.

    Args:
        questions: What was given.
        call: What it was given to, for the message.

    Raises:
        UQHarnessError: It is a text, a mapping, a conversation, a table, or cannot be gone through.
    """
    if isinstance(questions, str | bytes | Mapping) or _is_conversation(questions):
        raise UQHarnessError(f"{call} takes several questions, and got {_shown(questions)}: put a single one into [ ]")
    if hasattr(questions, "columns"):  # going through a table gives the names of its columns
        columns = ", ".join(map(str, questions.columns))
        raise UQHarnessError(
            f"{call} takes several questions, and got a table ({columns}): give one column, such as table['question']"
        )
    try:
        iter(questions)
    except TypeError:
        raise UQHarnessError(
            f"{call} takes several questions, and got {_shown(questions)}: give a list, an array, a column of a table, "
            "a generator or anything else that a for loop goes through"
        ) from None


def in_batches(items: Iterable[T], size: int) -> Iterator[tuple[int, list[T]]]:
    """Items a batch at a time, each batch with the number of its first item, from 1 on.

    No more than one batch is taken from the iterable ahead of what is asked for.
    """
    remaining, first = iter(items), 1
    while batch := list(islice(remaining, size)):
        yield first, batch
        first += len(batch)


def _is_conversation(questions: Any) -> bool:
    return isinstance(questions, Sequence) and any(isinstance(one, Mapping) for one in questions)


def _shown(questions: Any) -> str:
    text = repr(questions)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
