"""Reading a file of samples, line by line, so that no more than the wanted fields is ever held."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from array import array
from collections.abc import Iterator, Sequence
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


class NumberRows:
    """Objects of numbers, as they are read; kept as one array a name, which takes a tenth of the objects' memory."""

    def __init__(self) -> None:
        self._count = 0
        self._columns: dict[str, array[float]] = {}
        self._wrong: list[str] = []

    def append(self, row: Any) -> None:
        """Adds an object; ``None`` is one without numbers."""
        self._count += 1
        if row is not None and not isinstance(row, dict):
            self._wrong.append(f" is {row!r} in a line, but must be an object, a number a name")
            return
        for name, value in (row or {}).items():
            column = self._columns.setdefault(name, array("d"))
            self._fill(column, self._count - 1)
            try:
                column.append(_number(value))
            except ValueError as error:
                self._wrong.append(f": {name} {error}")
                column.append(math.nan)

    def arrays(self, place: str) -> dict[str, FloatArray]:
        """One array a name; ``null`` and missing numbers are ``nan``.

        Args:
            place: Where the objects are, for messages.

        Raises:
            UQHarnessError: One is not an object, or holds something that is not a number.
        """
        if self._wrong:
            raise UQHarnessError(place + self._wrong[0])
        for column in self._columns.values():
            self._fill(column, self._count)
        return {encodable(name): np.array(column) for name, column in self._columns.items()}

    @staticmethod
    def _fill(column: array[float], count: int) -> None:
        column.extend([math.nan] * (count - len(column)))


@dataclass
class Column:
    """The answers of one judge, as they are read."""

    keys: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    references: list[tuple[str, ...]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    prompt_hashes: list[str] = field(default_factory=list)
    answer_tokens: list[Any] = field(default_factory=list)
    correct: list[int] = field(default_factory=list)
    correctness: list[Any] = field(default_factory=list)
    uncertainty: NumberRows = field(default_factory=NumberRows)
    costs: NumberRows = field(default_factory=NumberRows)
    unjudged: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)


def read_samples(file: Path, texts: dict[str, tuple[str, tuple[str, ...]]]) -> dict[str, Column]:
    """Answers by judge, in the file's order.

    Args:
        file: A ``samples_*.jsonl``.
        texts: Questions and references by key that were met before; runs of the same data share one copy.

    Returns:
        Empty with a warning where no line has a record of uq-harness.
    """
    columns: dict[str, Column] = {}
    foreign = 0
    for offset, sample in _lines(file):
        record = sample["doc"].get("uq") if isinstance(sample.get("doc"), dict) else None
        if not isinstance(record, dict):
            foreign += 1
            continue
        judge = encodable(str(sample.get("filter") or record.get("judge")))
        _append(columns.setdefault(judge, Column()), offset, sample, record, texts)
    if foreign:
        log.warning("%s: %d lines are left out, since they are not of a task of uq-harness (no doc.uq)", file, foreign)
    for judge, column in list(columns.items()):
        if column.unjudged:
            log.warning("%s: %d answers without a verdict of %s are left out", file, len(column.unjudged), judge)
        if not column.keys:
            del columns[judge]
    return columns


def _lines(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Where each line begins, and its object; what a killed run cut off is left out with a warning."""
    broken: list[int] = []
    behind = 0
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            offset, behind = behind, behind + len(line)
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
    column.answer_tokens.append(record.get("answer_tokens"))
    column.correct.append(int(correct))
    column.correctness.append(record.get("correctness"))
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


def numbers(values: Sequence[Any], place: str) -> FloatArray:
    """Numbers as an array; ``None`` is ``nan``.

    Raises:
        UQHarnessError: One is not a number.
    """
    try:
        return np.array([_number(value) for value in values], dtype=np.float64)
    except ValueError as error:
        raise UQHarnessError(f"{place} {error}") from None


def _number(value: Any) -> float:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError(f"holds {value!r}, but must be a number or null")
    try:
        return math.nan if value is None else float(value)
    except OverflowError:
        raise ValueError("holds a whole number that is too large, beyond 1e308") from None
