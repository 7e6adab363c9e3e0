"""Files of paraphrases: JSON lines with ``question``, ``paraphrases`` and, where known, ``id``."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uq_harness.errors import UQHarnessError
from uq_harness.json_lines import question_and_texts, read_json_lines
from uq_harness.paths import user_path

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
        UQHarnessError: The file does not exist or holds nothing to use, or a line lacks something; file and line are
            named.
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
