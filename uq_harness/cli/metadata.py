"""``--metadata``, as lm_eval takes it."""

from __future__ import annotations

import json
from typing import Any

from uq_harness.errors import UQHarnessError

_EXAMPLE = '{"data_files": "questions.jsonl"}'


def read_metadata(text: str | None) -> dict[str, Any]:
    """The object that was typed; an empty one where nothing was.

    Raises:
        UQHarnessError: It is no JSON object.
    """
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise UQHarnessError(f"--metadata {text!r} is not valid JSON ({error.msg}): use {_EXAMPLE}") from None
    if not isinstance(found, dict):
        raise UQHarnessError(f"--metadata {text!r} is no JSON object: use {_EXAMPLE}")
    return found
