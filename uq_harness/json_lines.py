"""Reading files of one JSON object a line, with messages that name file and line of what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from uq_harness.errors import UQHarnessError
from uq_harness.paths import user_path


def read_json_lines(file: str | Path, kind: str, shape: str) -> list[tuple[str, dict[str, Any]]]:
    """All objects of a file, each with its place (file and line); blank lines are skipped.

    Args:
        file: The file, UTF-8.
        kind: What such a file is called, for messages.
        shape: What a line must look like, for messages.

    Raises:
        UQHarnessError: The file does not exist or is in another encoding, or a line is no JSON object.
    """
    path = user_path(file, kind)
    if not path.is_file():
        raise UQHarnessError(f"{kind} {str(path)!r} does not exist: it needs to be a JSON lines file, {shape}")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # JSON strings may hold other line separators
    except UnicodeDecodeError as error:
        raise UQHarnessError(f"{kind} {str(path)!r} is not UTF-8 ({error}): save it in that encoding") from None
    places = ((f"{path}, line {number}", line) for number, line in enumerate(lines, 1) if line.strip())
    return [(place, _object(place, line, shape)) for place, line in places]


def _object(place: str, line: str, shape: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise UQHarnessError(f"{place}: not valid JSON ({error.msg}): it needs {shape}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise UQHarnessError(f"{place}: cannot be read ({error}): it needs {shape}") from None
    if not isinstance(row, dict):
        raise UQHarnessError(f"{place}: a JSON {type(row).__name__}: it needs {shape}")
    return row


def question_and_texts(place: str, row: dict[str, Any], field: str, shape: str) -> tuple[str, list[str]]:
    """The question of an object, and the list of texts under another of its fields.

    Raises:
        UQHarnessError: One is missing, the question is blank, or something is no text.
    """
    missing = [name for name in ("question", field) if name not in row]
    if missing:
        raise UQHarnessError(f"{place}: the field {missing[0]!r} is missing: it needs {shape}")
    question, texts = row["question"], row[field]
    if not isinstance(question, str) or not question.strip():
        raise UQHarnessError(f"{place}: the question is {question!r}: it needs a text that is not blank")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UQHarnessError(f"{place}: the {field} are {texts!r}: they need to be a list of texts")
    if any("\ud800" <= character <= "\udfff" for text in (question, *texts) for character in text):
        raise UQHarnessError(f"{place}: a text holds half of a surrogate pair, which is no character: remove it")
    return question, texts
