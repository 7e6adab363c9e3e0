"""The output file: a line is added when a question is done, and survives whatever happens next."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from uq_harness.errors import UQHarnessError
from uq_harness.json_lines import question_and_texts, read_json_lines
from uq_harness.paraphrase._file import SHAPE
from uq_harness.paraphrase._prompt import further
from uq_harness.paraphrase._questions import Question

log = logging.getLogger(__name__)


class Output:
    """A file of paraphrases that grows while it is made. Made by `open_output`.

    Attributes:
        paraphrases: What the file holds, by question.
    """

    def __init__(self, path: Path, file: IO[str], questions: Sequence[Question]) -> None:
        self.path = path
        self._file = file
        self._rows = {question.question: _row(question) for question in questions}
        self.paraphrases: dict[str, list[str]] = {}
        for place, row in read_json_lines(path, "output file", SHAPE):
            text, given = question_and_texts(place, row, "paraphrases", SHAPE)
            if text not in self._rows:
                raise UQHarnessError(
                    f"{place}: the question {text!r} is not among those to paraphrase: give another file with output"
                )
            self._rows[text] |= row  # fields that others have added stay
            self._take(text, given)

    def add(self, question: str, paraphrases: Sequence[str]) -> None:
        """Writes down what was found for a question, beside what the file has already."""
        self._take(question, paraphrases)
        self._file.write(self._line(question))
        self._file.flush()

    def finish(self) -> None:
        """Puts the lines in the questions' order, one a question; the old file stays until the new one is whole."""
        new = self.path.with_name(f".{self.path.name}.new")
        with new.open("w", encoding="utf-8") as file:
            file.writelines(self._line(text) for text in self._rows if self.paraphrases.get(text))
        os.replace(new, self.path)

    def _take(self, question: str, paraphrases: Sequence[str]) -> None:
        known = self.paraphrases.setdefault(question, [])
        known.extend(further(question, known, paraphrases))

    def _line(self, text: str) -> str:
        return json.dumps({**self._rows[text], "paraphrases": self.paraphrases[text]}, ensure_ascii=False) + "\n"


def _row(question: Question) -> dict[str, Any]:
    answers = {} if question.answers is None else {"answers": list(question.answers)}
    return {"id": question.id, "question": question.question, **answers}


@contextmanager
def open_output(path: Path, questions: Sequence[Question]) -> Iterator[Output]:
    """Opens the file to go on with it; a last line that was cut off when a run was killed is removed.

    Args:
        path: The file; made, with its folder, where it is not there.
        questions: All questions that it may hold, in the order of the finished file.

    Raises:
        UQHarnessError: It cannot be written, another process writes it, or it holds something else.
    """
    path = path.resolve()  # a link stays a link when the finished file takes the old one's place
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise UQHarnessError(f"the output file {str(path)!r} cannot be written: {error}") from None
    with file:
        _lock(file, path)
        _mend(path)
        try:
            yield Output(path, file, questions)
        finally:
            if not path.stat().st_size:
                path.unlink()


def _lock(file: IO[str], path: Path) -> None:
    """Keeps a second process out, whose lines this one would not know; the system gives the lock back."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UQHarnessError(f"another process writes {str(path)!r}: wait for it, or give another file") from None


def _mend(path: Path) -> None:
    """Ends the last line, or removes it if it is half a line."""
    content = path.read_bytes()
    if not content or content.endswith(b"\n"):
        return
    start = content.rfind(b"\n") + 1
    try:
        json.loads(content[start:])
    except ValueError:
        os.truncate(path, start)
        log.warning("%s: the last line is half a line, left by a run that was killed; it is removed", path)
    else:
        with path.open("ab") as file:
            file.write(b"\n")
