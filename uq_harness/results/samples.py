"""Reading a file of samples, line by line, so that no more than the wanted fields is ever held."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uq_harness.errors import UQHarnessError
from uq_harness.functional import FloatArray
from uq_harness.rendering.escape import encodable

log = logging.getLogger(__name__)

# What follows in a line repeats the record once a metric. Inside a JSON text, these quotes would be escaped.
_REPETITION = b', "target_hash": "'


class Numbers:
    """Numbers by name, one row after another, eight bytes each; ``null`` and what a row does not have are ``nan``.

    Args:
        place: What they are called in messages.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._rows = 0
        self._columns: dict[str, array[float]] = {}

    def append(self, row: Any) -> None:
        """Adds a row.

        Args:
            row: An object of numbers; ``None`` for one without any.

        Raises:
            UQHarnessError: It is something else.
        """
        if row is not None and not isinstance(row, dict):
            raise UQHarnessError(f"{self._place} is {row!r} in a line, but must be an object, a number a name")
        columns, rows = self._columns, self._rows
        for name, value in (row or {}).items():
            if name not in columns:
                columns[name] = array("d", [math.nan]) * rows
            columns[name].append(value if type(value) is float else _number(value, f"{self._place}: {name}"))
        self._rows = rows + 1
        if len(row or ()) < len(columns):
            for column in columns.values():
                if len(column) == rows:
                    column.append(math.nan)

    def arrays(self) -> dict[str, FloatArray]:
        """One array a name, as long as there are rows."""
        return {encodable(name): np.array(column) for name, column in self._columns.items()}


def _number(value: Any, place: str) -> float:
    """A number of a line; ``None`` is ``nan``."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UQHarnessError(f"{place} holds {value!r}, but must be a number or null")
    try:
        return float(value)
    except OverflowError:
        raise UQHarnessError(f"{place} holds a whole number that is too large, beyond 1e308") from None


@dataclass
class Column:
    """The answers of one judge, as they are read.

    Attributes:
        file: The file they are read from, for messages.
    """

    file: Path
    keys: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    references: list[tuple[str, ...]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    prompt_hashes: list[str] = field(default_factory=list)
    answer_tokens: array[float] = field(default_factory=lambda: array("d"))
    correct: array[int] = field(default_factory=lambda: array("q"))
    correctness: array[float] = field(default_factory=lambda: array("d"))
    uncertainty: Numbers = field(init=False)
    costs: Numbers = field(init=False)
    unjudged: list[str] = field(default_factory=list)
    offsets: array[int] = field(default_factory=lambda: array("q"))

    def __post_init__(self) -> None:
        """Names the tables after the file."""
        self.uncertainty, self.costs = (Numbers(f"{self.file}: {name}") for name in ("uncertainty", "cost"))


def read_samples(
    file: Path, texts: dict[str, tuple[str, tuple[str, ...]]], done: Callable[[int], object]
) -> dict[str, Column]:
    """Answers by judge, in the file's order.

    Args:
        file: A ``samples_*.jsonl``.
        texts: Questions and references by key that were met before; runs of the same data share one copy.
        done: Is told how many bytes were read, line by line.

    Returns:
        Empty with a warning where no line has a record of uq-harness.
    """
    columns: dict[str, Column] = {}
    foreign = 0
    for offset, sample in _lines(file, done):
        record = sample["doc"].get("uq") if isinstance(sample.get("doc"), dict) else None
        if not isinstance(record, dict):
            foreign += 1
            continue
        judge = encodable(str(sample.get("filter") or record.get("judge")))
        _append(columns.setdefault(judge, Column(file)), offset, sample, record, texts)
    if foreign:
        log.warning("%s: %d lines are left out, since they are not of a task of uq-harness (no doc.uq)", file, foreign)
    for judge, column in list(columns.items()):
        if column.unjudged:
            log.warning("%s: %d answers without a verdict of %s are left out", file, len(column.unjudged), judge)
        if not column.keys:
            del columns[judge]
    return columns


def _lines(file: Path, done: Callable[[int], object]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Where each line begins, and its object; what a killed run cut off is left out with a warning."""
    broken: list[int] = []
    behind = 0
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            offset, behind = behind, behind + len(line)
            done(len(line))
            if line.isspace():
                continue
            try:
                sample = _parse(line)
            except (ValueError, RecursionError):  # also of bytes that are not UTF-8, and of brackets without end
                broken.append(number)
            else:
                yield offset, sample
    if broken:
        places = ", ".join(map(str, broken[:5])) + (", …" if len(broken) > 5 else "")
        log.warning("%s: %d lines are left out, cut off or not valid JSON (line %s)", file, len(broken), places)


def _parse(line: bytes) -> dict[str, Any]:
    head, found, _ = line.partition(_REPETITION)
    if found and line.rstrip().endswith(b"}"):
        try:
            return _object(head + b"}")
        except ValueError:  # a field of the document has that name
            pass
    return _object(line)


def _object(text: bytes) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"a JSON {type(value).__name__}")
    return value


def _append(
    column: Column,
    offset: int,
    sample: dict[str, Any],
    record: dict[str, Any],
    texts: dict[str, tuple[str, tuple[str, ...]]],
) -> None:
    doc = sample["doc"]
    question, references = str(doc.get("question", "")), _texts(doc.get("answers"))
    key = _key(question, references)
    correct = record.get("correct")
    if correct not in (0, 1):
        column.unjudged.append(key)
        return
    question, references = texts.setdefault(key, (question, references))
    column.offsets.append(offset)
    column.keys.append(key)
    column.questions.append(question)
    column.references.append(references)
    column.answers.append(str(record.get("answer", _response(sample))))
    column.prompt_hashes.append(str(sample.get("prompt_hash", "")))
    column.answer_tokens.append(_number(record.get("answer_tokens"), f"{column.file}: answer_tokens"))
    column.correct.append(int(correct))
    column.correctness.append(_number(record.get("correctness"), f"{column.file}: correctness"))
    column.uncertainty.append(record.get("uncertainty"))
    column.costs.append(record.get("cost"))


def read_record(file: Path, offset: int) -> dict[str, Any]:
    """The record of the answer whose line begins at an offset."""
    with file.open("rb") as lines:
        lines.seek(offset)
        record: dict[str, Any] = _parse(lines.readline())["doc"]["uq"]
    return record


def _key(question: str, references: Sequence[str]) -> str:
    """Not lm_eval's ``doc_hash``, which covers the answer's record too."""
    text = json.dumps([question, *references], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()[:24]


def _response(sample: dict[str, Any]) -> str:
    """The answer of a model that attaches no record."""
    responses = _texts(sample.get("filtered_resps"))
    return responses[0] if responses else ""


def _texts(value: Any) -> tuple[str, ...]:
    """A list's entries as texts, none of ``null``, and what is not a list as the only entry."""
    if value is None:
        return ()
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)
