"""Paths that users write: ``~`` is expanded, and what the file system cannot hold is refused with a sentence."""

from __future__ import annotations

import os
from errno import ENAMETOOLONG
from pathlib import Path

from uq_harness.errors import UQHarnessError

_SHOWN = 80  # characters of a path that a message quotes


def user_path(path: str | Path, what: str) -> Path:
    """The path that a user wrote, with ``~`` expanded; it need not exist.

    Args:
        path: The path.
        what: What it names, for messages: ``data file``, ``sp_token``, ….

    Raises:
        UQHarnessError: It begins with ``~`` and an unknown user, holds a NUL character, or is longer than the file
            system allows.

    >>> user_path("answers.jsonl", "data file").name
    'answers.jsonl'
    """
    text = str(path)
    shown = repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
    try:
        expanded = Path(path).expanduser()
    except RuntimeError:
        raise UQHarnessError(f"{what} {shown}: there is no such user's home folder: write the whole path") from None
    if "\0" in text:
        raise UQHarnessError(f"{what} {shown} holds a NUL character, which no path can: remove it")
    try:
        os.stat(expanded)
    except OSError as error:
        if error.errno == ENAMETOOLONG:
            raise UQHarnessError(
                f"{what} {shown} has {len(text)} characters, too many for a path: give a shorter one"
            ) from None
    return expanded
