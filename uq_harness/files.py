"""Reading files of one JSON object a line, with messages that name file and line of what is wrong."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable
from errno import ENAMETOOLONG
from pathlib import Path
from typing import Any, Self

from uq_harness.errors import UQHarnessError
from uq_harness.rendering.escape import encodable, escaped_in_json


def read_json_lines(file: str | Path, kind: str, shape: str) -> list[tuple[str, dict[str, Any]]]:
    """All objects of a file, each with its place (file and line); blank lines are skipped.

    Args:
        file: The file, UTF-8.
        kind: What such a file is called, for messages.
        shape: What a line must look like, for messages.

    Raises:
        UQHarnessError: The file does not exist or is in another encoding, or a line is not a JSON object.
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


def not_blank(texts: Iterable[str]) -> list[str]:
    """The texts that hold more than white space."""
    return [text for text in texts if text.strip()]


def question_and_texts(place: str, row: dict[str, Any], field: str, shape: str) -> tuple[str, list[str]]:
    """The question of an object, and the list of texts under another of its fields.

    Raises:
        UQHarnessError: One is missing, the question is blank, or something is not a text.
    """
    missing = [name for name in ("question", field) if name not in row]
    if missing:
        raise UQHarnessError(f"{place}: the field {missing[0]!r} is missing: it needs {shape}")
    question, texts = row["question"], row[field]
    if not isinstance(question, str) or not question.strip():
        raise UQHarnessError(f"{place}: the question is {question!r}: it needs a text that is not blank")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UQHarnessError(f"{place}: the {field} are {texts!r}: they need to be a list of texts")
    for text in (question, *texts):
        check_characters(text, f"{place}: a text")
    return question, texts


def check_characters(text: str, what: str) -> None:
    """Raises if a text holds half of a surrogate pair, which JSON can write and no file or tokenizer can hold.

    Args:
        text: The text.
        what: What it is, for the message, which begins so.
    """
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UQHarnessError(f"{what} holds half of a surrogate pair, which is not a character: remove it")


class _NotAvailable(str):
    """lm_eval's text for a number that is undefined, which stays what it is in lm_eval's arithmetic of groups."""

    __slots__ = ()

    def __add__(self, _: object) -> Self:
        return self

    __radd__ = __mul__ = __rmul__ = __truediv__ = __add__


# What a results file holds where a metric is undefined: JSON has no NaN, and lm_eval's tables take no null.
NOT_AVAILABLE = _NotAvailable("N/A")


def or_not_available(value: float) -> float | str:
    """The value, or lm_eval's ``N/A`` where it is not finite.

    >>> or_not_available(0.75), or_not_available(float("nan"))
    (0.75, 'N/A')
    """
    return value if math.isfinite(value) else NOT_AVAILABLE


def plain(value: Any) -> Any:
    """The value with lists for tuples, and ``None`` for every number that is undefined or not finite.

    JSON has no sign for these. Halves of surrogate pairs, which no file can hold, are written as their numbers.

    >>> plain({"auroc": float("nan"), "interval": (0.1, float("inf"))})
    {'auroc': None, 'interval': [0.1, None]}
    """
    if isinstance(value, _NotAvailable):
        return None
    if isinstance(value, str):
        return value if value.isascii() else encodable(value)
    if isinstance(value, dict):
        return {plain(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_text(value: Any, indent: int | None = None) -> str:
    r"""The value as strict JSON that a terminal and any file can hold.

    Characters stay as they are, but for those that would be obeyed, or that no file can hold: they are escaped.

    >>> print(as_text({"name": "Ünï \x9b[31m", "auroc": float("nan")}))
    {"name": "Ünï \u009b[31m", "auroc": null}
    """
    return escaped_in_json(json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False))


def write_whole(file: Path, text: str) -> None:
    """Writes a text file so that it is the old one or the new one whenever the process is killed.

    A link stays a link: what it names is written.

    Raises:
        UQHarnessError: It cannot be written; then the old one stays.
    """
    file = file.resolve()
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise UQHarnessError(f"{str(file)!r} cannot be written: {error.strerror or error}") from error


def is_whole(file: Path, lines: int | None = None) -> bool:
    """Whether a file that was written is complete.

    Args:
        file: One JSON object, or one a line.
        lines: The number of its lines, each of them ended; ``None`` for a file of one object.
    """
    last, count = b"", 0
    try:
        if lines is None:
            return isinstance(json.loads(file.read_bytes()), dict)
        with file.open("rb") as content:
            for count, last in enumerate(content, 1):  # noqa: B007  # what is read last
                pass
        return count == lines and (not lines or (last.endswith(b"\n") and isinstance(json.loads(last), dict)))
    except (OSError, ValueError):
        return False


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
