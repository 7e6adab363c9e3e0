"""Questions that an engine refuses: some cost their scores, all of them cost the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from uq_harness.errors import UQHarnessError

T = TypeVar("T")


def unless_all_are_refused(found: Iterable[tuple[T, str | None]]) -> Iterator[T]:
    """Hands on what was found about questions, unless every one of several was refused.

    Refused questions wait until another one is answered, so that a run in which none is leaves nothing in a response
    cache.

    Args:
        found: What was found about each question, with the reason where it was refused.

    Raises:
        UQHarnessError: All were refused, and they are more than one.
    """
    waiting: list[T] = []
    answered, reason = False, ""
    for one, refusal in found:
        if refusal is None:
            answered = True
            yield from waiting
            waiting = []
        elif not answered:
            waiting.append(one)
            reason = reason or refusal
            continue
        yield one
    if len(waiting) > 1:
        raise UQHarnessError(
            f"none of {len(waiting)} questions was answered, for every request was refused: {reason}. Nothing is kept "
            "of them: mend the cause, and run again"
        )
    yield from waiting
