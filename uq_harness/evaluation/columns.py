"""Which columns of a data set are the question and its reference answers."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow
from jinja2 import TemplateError, meta
from lm_eval.utils import apply_template, env
from pyarrow import compute, types

from uq_harness.errors import UQHarnessError, did_you_mean
from uq_harness.evaluation.trial_row import TrialRow, same_random_numbers
from uq_harness.files import check_characters, not_blank

SHAPE = 'one JSON object a line, such as {"question": "Who ...?", "answers": ["...", "..."]}'
Source = Any  # a column's name, a Jinja template, a function of the row, or a list: as lm_eval takes it


@dataclass(frozen=True)
class Columns:
    """How rows become documents: with a text ``question`` and a list of texts ``answers``.

    Attributes:
        text: The task's ``doc_to_text``: what the user's message says.
        target: Its ``doc_to_target``: the reference answers, a list or a single one.
        asked: Its ``doc_to_question``: the bare question. Where there is none, it is the column ``question``, or the
            only column that ``text`` names.
        others: Further templates of the task's prompts, whose columns documents keep.
        example_target: The ``doc_to_target`` of worked examples, where they have their own.
    """

    text: Source
    target: Source = "answers"
    asked: Source = None
    others: tuple[Source, ...] = ()
    example_target: Source = None

    def fit(self, table: Any) -> bool:
        """Whether all rows of a ``datasets.Dataset`` are documents as they are, a question without references aside."""
        usual = self.target == "answers" and self.asked in (None, "question")
        if not usual or not {"question", "answers"} <= set(table.column_names):
            return False
        if not len(table) or _hold_texts(table.data["question"], table.data["answers"]):
            return True
        selected = table.select_columns(["question", "answers"]).with_format("arrow")[:]  # a selection takes longer
        return _hold_texts(selected["question"], selected["answers"])

    def documents(self, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
        """The documents of rows with their places, ``questions.jsonl, line 3``.

        They keep the columns that the task's templates name; all of them where one is a function.

        Raises:
            UQHarnessError: A column is missing, a question is blank, a row has no reference answer, or a prompt shows a
                column whose place the document's question or answers take.
        """
        kept = self._kept()
        found = [
            {**{name: row[name] for name in row if kept is None or name in kept}, **self._document(place, row)}
            for place, row in rows
        ]
        empty = {name: "" if isinstance(value, str) else None for document in found for name, value in document.items()}
        return [{**empty, **document} for document in found]

    def check_text(self, place: str, document: Mapping[str, Any]) -> None:
        """Makes the message of one document.

        Raises:
            UQHarnessError: ``doc_to_text`` names a column that is not there, or gives no text.
        """
        text = _value("doc_to_text", self.text, place, document)
        if not isinstance(text, str):
            raise UQHarnessError(f"{place}: doc_to_text gives {text!r}: it needs to be a text")

    def _document(self, place: str, row: Mapping[str, Any]) -> dict[str, Any]:
        question = self._question(place, row)
        answers = _texts(place, _value("doc_to_target", self.target, place, row))
        kept = not_blank(answers)
        if not kept:
            raise UQHarnessError(f"{place}: the question {question!r} has no reference answer that is not blank")
        for text in (question, *kept):
            check_characters(text, f"{place}: a text")
        made = {"question": question, "answers": kept}
        self._check_replaced(place, row, made)
        self.check_text(place, {**row, **made})
        return made

    def _check_replaced(self, place: str, row: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        """Refuses prompts that would say something else than they say of the row, white space around texts aside."""
        replaced = {name for name in made if name in row and not _same(_trimmed(row[name]), _trimmed(made[name]))}
        if not replaced:
            return
        sources = [("doc_to_text", source) for source in (self.text, *self.others)]
        if self.example_target != self.target:
            sources.append(("doc_to_target", self.example_target))
        for key, source in sources:
            named = columns_in(source)
            if named is not None and not named & replaced:
                continue
            trials = [TrialRow(fields) for fields in ({**made, **row}, {**made, **row}, {**row, **made})]
            own, again, theirs = (_said(key, source, place, trial) for trial in trials)
            shown = replaced & (trials[0].read | trials[1].read if named is None else named)
            repeated = _same(own, again)
            if own is None or (_same(own, theirs) if repeated else not shown):
                continue
            names = sorted(shown or replaced)
            differing = (
                f"is {own!r} of the row, and would be {theirs!r}"
                if repeated
                else f"is {own!r} of the row, and {again!r} when made again, so that it cannot be compared"
            )
            raise UQHarnessError(
                f"{place}: the prompt's part {source!r} {differing}: the document's own question and answers "
                f"take the place of the column {' and '.join(names)}, which it reads: rename the column in the data, "
                f"or in process_docs, for instance to my_{names[0]}"
            )

    def _question(self, place: str, row: Mapping[str, Any]) -> str:
        how = self._asked_in(place, row)
        question = _value("doc_to_question", how, place, row)
        if not isinstance(question, str) or not question.strip():
            raise UQHarnessError(f"{place}: the question is {question!r}: it needs a text that is not blank")
        return question

    def _asked_in(self, place: str, row: Mapping[str, Any]) -> Source:
        if self.asked is not None:
            return self.asked
        named = columns_in(self.text)
        if "question" in row or named == {"question"}:
            return "question"
        if named is not None and len(named) == 1:
            return next(iter(named))
        raise UQHarnessError(
            f"{place}: there is no column 'question', and doc_to_text does not name exactly one column: say which is "
            f"the question, such as doc_to_question: {next(iter(row), 'my_column')}; the columns are {_listed(row)}"
        )

    def _kept(self) -> set[str] | None:
        named = [columns_in(source) for source in (self.text, *self.others, self.example_target)]
        return None if any(one is None for one in named) else {name for one in named for name in one or ()}


def _hold_texts(questions: pyarrow.ChunkedArray, answers: pyarrow.ChunkedArray) -> bool:
    """Whether questions are texts and answers lists of texts, none of them blank."""
    listed = any(is_(answers.type) for is_ in (types.is_list, types.is_large_list, types.is_fixed_size_list))
    return listed and not answers.null_count and _all_text(questions) and _all_text(compute.list_flatten(answers))


def _all_text(column: pyarrow.ChunkedArray) -> bool:
    if not len(column):
        return True
    if column.null_count or not (types.is_string(column.type) or types.is_large_string(column.type)):
        return False
    return not compute.any(compute.utf8_is_space(column)).as_py() and not compute.any(compute.equal(column, "")).as_py()


def columns_in(source: Source) -> set[str] | None:
    """The columns that a source names; ``None`` for a function, which may read any.

    >>> sorted(columns_in("{{clue}} ({{year}})"))
    ['clue', 'year']
    """
    if not isinstance(source, str):
        return None if callable(source) else set()
    return {source} if not _is_template(source) else set(_variables(source))


@cache
def _variables(template: str) -> frozenset[str]:
    try:
        return frozenset(meta.find_undeclared_variables(env.parse(template))) - set(env.globals)
    except TemplateError:
        return frozenset()  # said where it is filled in


def _is_template(text: str) -> bool:
    return "{{" in text or "{%" in text


def _value(key: str, source: Source, place: str, row: Mapping[str, Any]) -> Any:
    """What a source gives for a row.

    Raises:
        UQHarnessError: It names a column that is not there, is not a template, or fails.
    """
    if isinstance(source, str) and source not in row and not _is_template(source):
        where = "" if source in ("question", "answers") else f", which {key} names"
        hint = did_you_mean(source, row, f"the row has {_listed(row)}.")
        raise UQHarnessError(
            f"{place}: the field {source!r} is missing{where}: {hint} It needs {SHAPE}, or doc_to_text and "
            "doc_to_target that name other fields"
        )
    try:
        if callable(source):
            return source(row if isinstance(row, TrialRow) else TrialRow(row))
        if not isinstance(source, str):
            return source
        if source in row:
            return row[source]
        text = apply_template(source, dict(row))
        return _as_list(text) if key == "doc_to_target" else text
    except TemplateError as error:
        raise UQHarnessError(
            f"{place}: {key} {source!r} cannot be filled in ({error}): the fields are {_listed(row)}"
        ) from error
    except Exception as error:  # a function of the user's
        raise UQHarnessError(f"{place}: {key} fails: {error!r}") from error


def _said(key: str, source: Source, place: str, row: Mapping[str, Any]) -> Any:
    """What a source gives for a row, a single reference as a list of one; ``None`` where it fails."""
    try:
        with same_random_numbers():
            value = _value(key, source, place, row)
    except UQHarnessError:
        return None
    return [value] if key == "doc_to_target" and not isinstance(value, list) else value


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal; an array is a list, and what cannot be compared differs."""
    try:
        return bool(_plain(one) == _plain(other))
    except Exception:  # a value's own way to compare
        return False


def _trimmed(value: Any) -> Any:
    """A text, or the texts of a list, without the white space around them."""
    if isinstance(value, list):
        return [_trimmed(item) for item in value]
    return value.strip() if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _as_list(text: str) -> Any:
    """The list that a text is where Python writes one so, as lm_eval reads references; else the text."""
    if text.startswith("[") and text.endswith("]"):
        try:
            return literal_eval(text)
        except (SyntaxError, ValueError):
            return text
    return text


def _texts(place: str, value: Any) -> list[str]:
    """The reference answers as texts; a number is written as it prints.

    Raises:
        UQHarnessError: One is neither text nor number.
    """
    values = list(value) if isinstance(value, list | tuple) else [value]
    if any(isinstance(one, bool) or not isinstance(one, str | int | float) or one != one for one in values):
        raise UQHarnessError(f"{place}: the answers are {value!r}: they need to be a text, or a list of texts")
    return [str(one) for one in values]


def _listed(row: Collection[str]) -> str:
    return ", ".join(map(str, row)) or "none"
