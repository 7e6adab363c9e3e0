"""Files of paraphrases: JSON lines with ``question``, ``paraphrases`` and, where known, ``id``."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from uq_harness.errors import UQHarnessError
from uq_harness.files import question_and_texts, read_json_lines, user_path, write_whole
from uq_harness.studies.paraphrase.prompt import further
from uq_harness.studies.paraphrase.questions import Question

log = logging.getLogger(__name__)
SHAPE = 'one JSON object a line, such as {"question": "Who ...?", "paraphrases": ["...", "..."]}'


@dataclass(frozen=True)
class Paraphrased:
    """A question and the same in other words.

    Attributes:
        question: The question.
        paraphrases: Its paraphrases, distinct and none equal to the question.
        id: What the file calls the question; ``None`` where it has no such field.
    """

    question: str
    paraphrases: tuple[str, ...]
    id: Any = None


@dataclass(frozen=True)
class Dropped:
    """What a file held that counts for nothing.

    Attributes:
        duplicates: Paraphrases equal to an earlier one of the same question.
        same_as_question: Paraphrases equal to their question.
        blank: Paraphrases without any character but white space.
        repeated_questions: Lines whose question an earlier line has; their paraphrases are added to that line's.
        without_paraphrases: Questions that no paraphrase is left of, and that are left out.
    """

    duplicates: int = 0
    same_as_question: int = 0
    blank: int = 0
    repeated_questions: int = 0
    without_paraphrases: int = 0

    def __str__(self) -> str:
        parts = {
            "duplicate(s)": self.duplicates,
            "equal to their question": self.same_as_question,
            "blank": self.blank,
            "line(s) that repeat a question joined with the first": self.repeated_questions,
            "question(s) without any paraphrase left out": self.without_paraphrases,
        }
        return ", ".join(f"{count} {what}" for what, count in parts.items() if count)


@dataclass(frozen=True)
class ParaphraseFile:
    """A file's questions with their paraphrases.

    Attributes:
        path: The file.
        questions: Distinct questions in the file's order, each with at least one paraphrase.
        dropped: What was dropped.
    """

    path: Path
    questions: tuple[Paraphrased, ...]
    dropped: Dropped


def read_paraphrases(file: str | Path) -> ParaphraseFile:
    """Reads a file of paraphrases; what it drops is counted in a warning.

    Texts that differ in white space only are equal.

    Raises:
        UQHarnessError: The file does not exist or holds nothing to use, or something is missing in a line; file and
            line are named.
    """
    path = user_path(file, "paraphrase file")
    ids: dict[str, Any] = {}
    given: dict[str, list[str]] = {}
    originals: dict[str, str] = {}
    lines = read_json_lines(path, "paraphrase file", SHAPE)
    for place, row in lines:
        question, paraphrases = question_and_texts(place, row, "paraphrases", SHAPE)
        key = single_spaced(question)
        originals.setdefault(key, question)
        ids.setdefault(key, row.get("id"))
        given.setdefault(key, []).extend(paraphrases)
    kept = {key: distinct(originals[key], texts) for key, texts in given.items()}
    questions = tuple(Paraphrased(originals[key], texts, ids[key]) for key, texts in kept.items() if texts)
    if not questions:
        raise UQHarnessError(f"paraphrase file {str(path)!r} holds no question with a paraphrase: it needs {SHAPE}")
    filled = {key: [text for text in map(single_spaced, texts) if text] for key, texts in given.items()}
    same = sum(texts.count(key) for key, texts in filled.items())
    dropped = Dropped(
        duplicates=sum(map(len, filled.values())) - same - sum(map(len, kept.values())),
        same_as_question=same,
        blank=sum(map(len, given.values())) - sum(map(len, filled.values())),
        repeated_questions=len(lines) - len(given),
        without_paraphrases=len(given) - len(questions),
    )
    if str(dropped):
        log.warning("%s: dropped paraphrases and questions: %s", path, dropped)
    return ParaphraseFile(path, questions, dropped)


def distinct(question: str, paraphrases: Iterable[str]) -> tuple[str, ...]:
    """The paraphrases without blank ones, repetitions and the question itself, in their order.

    >>> distinct("Who are you?", ["Who is it?", "Who are  you?", "", "Who is it? "])
    ('Who is it?',)
    """
    first: dict[str, str] = {}
    for text in paraphrases:
        first.setdefault(single_spaced(text), text)
    return tuple(text for normal, text in first.items() if normal and normal != single_spaced(question))


def single_spaced(text: str) -> str:
    r"""The text with single spaces: two texts that agree in it are the same.

    >>> single_spaced(" Who  are you?\n")
    'Who are you?'
    """
    return " ".join(text.split())


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
        """Adds what was found for a question to what the file has already."""
        self._take(question, paraphrases)
        self._file.write(self._line(question))
        self._file.flush()

    def finish(self) -> None:
        """Puts the lines in the questions' order, one a question; the old file stays until the new one is whole.

        It ends the adding: Windows replaces no file that is open.
        """
        self._file.close()
        write_whole(self.path, "".join(self._line(text) for text in self._rows if self.paraphrases.get(text)))

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
    with _locked(path):
        try:
            file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise _not_writable(path, error) from None
        try:
            with file:
                _mend(path)
                yield Output(path, file, questions)
        finally:
            if not path.stat().st_size:
                path.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keeps a second process out, whose lines this one would not know; the system gives the lock back."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise UQHarnessError(f"another process writes {str(path)!r}: wait for it, or give another file") from None
    except OSError as error:
        raise _not_writable(path, error) from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes it when the lock is given back
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _not_writable(path: Path, error: OSError) -> UQHarnessError:
    return UQHarnessError(f"the output file {str(path)!r} cannot be written: {error}")


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
