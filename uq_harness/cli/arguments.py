"""Values of options that several commands take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from uq_harness.errors import UQHarnessError

_EXAMPLE = '{"data_files": "questions.jsonl"}'


def read_metadata(text: str | None) -> dict[str, Any]:
    """The object given with ``--metadata``, as lm_eval takes it; an empty one without it.

    Raises:
        UQHarnessError: It is not a JSON object.
    """
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise UQHarnessError(f"--metadata {text!r} is not valid JSON ({error.msg}): use {_EXAMPLE}") from None
    if not isinstance(found, dict):
        raise UQHarnessError(f"--metadata {text!r} is not a JSON object: use {_EXAMPLE}")
    return found


def make_output_folder(output: Path) -> None:
    """Makes the folder given with ``--output``, before any work is done.

    Raises:
        UQHarnessError: The folder cannot be made.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UQHarnessError(f"--output {output} cannot be made a folder ({error.strerror}): choose another") from None


def refuse_output_file(output: Path) -> None:
    """Checks the folder given with ``--output``, without making it.

    Raises:
        UQHarnessError: It is a file.
    """
    if output.exists() and not output.is_dir():
        raise UQHarnessError(f"--output {str(output)!r} is a file: name a folder")
