"""Local questions: what a file may hold, and the message that names file and line where it does not."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from uq_harness.errors import UQHarnessError
from uq_harness.evaluation import documents, local_data
from uq_harness.evaluation.columns import Columns

ASKS = "Answer:\n{{question}}"
GOOD = {"question": "Who?", "answers": ["me"]}


def write(folder: Path, *lines: object) -> Path:
    file = folder / "questions.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return file


def read(file: Path, **columns: Any) -> list[dict]:
    """The documents of a file, as ``--metadata data_files=FILE`` has them."""
    rows = local_data.of_file(str(file), "validation").read("validation")
    return Columns(**{"text": ASKS, **columns}).documents(rows)


def test_reads_questions_and_drops_blank_references_and_other_fields(tmp_path: Path) -> None:
    file = write(tmp_path, {**GOOD, "id": 3}, "", {"question": "Où ?", "answers": [" ", "là", ""]})
    assert read(file) == [GOOD, {"question": "Où ?", "answers": ["là"]}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"question": "Who?"}, "line 2: the field 'answers' is missing"),
        ({"answers": ["me"]}, "line 2: the field 'question' is missing"),
        ("{oops", "line 2: not valid JSON"),
        (["Who?"], "line 2: a JSON list"),
        ({"question": "  ", "answers": ["me"]}, "line 2: the question is '  '"),
        ({"question": "Who?", "answers": {"text": "me"}}, r"line 2: the answers are \{'text': 'me'\}"),
        ({"question": "Who?", "answers": ["me", None]}, r"line 2: the answers are \['me', None\]"),
        ({"question": "Who?", "answers": True}, "line 2: the answers are True"),
        ({"question": "Who?", "answers": []}, "line 2: the question 'Who\\?' has no reference answer"),
        ({"question": "Who?", "answers": ["", " \n"]}, "line 2: the question 'Who\\?' has no reference answer"),
        ({"question": "Who\ud800?", "answers": ["me"]}, "line 2: a text holds half of a surrogate pair"),
    ],
)
def test_names_file_and_line_of_what_is_wrong(tmp_path: Path, line: object, message: str) -> None:
    with pytest.raises(UQHarnessError, match=rf"questions\.jsonl, {message}"):
        read(write(tmp_path, GOOD, line))


def test_line_separators_within_texts_byte_order_marks_and_windows_line_ends(tmp_path: Path) -> None:
    row = {"question": "One\u2028two\u0085three?", "answers": ["yes"]}
    file = tmp_path / "questions.jsonl"
    file.write_bytes(("\ufeff" + json.dumps(row, ensure_ascii=False) + "\r\n" + json.dumps(GOOD) + "\r\n").encode())
    assert read(file) == [row, GOOD]


def test_another_encoding_is_named(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_bytes('{"question": "Où ?", "answers": ["là"]}'.encode("latin-1"))
    with pytest.raises(UQHarnessError, match=r"questions\.jsonl' is not UTF-8"):
        read(file)


def test_empty_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match="holds no question"):
        read(write(tmp_path, "", "  "))
    with pytest.raises(UQHarnessError, match="does not exist"):
        read(tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize(
    ("given", "file"), [(None, None), ("a.jsonl", "a.jsonl"), ({"uq_sciq": "b"}, "b"), ({"uq_triviaqa": "c"}, None)]
)
def test_one_file_for_all_tasks_or_one_by_task(given: object, file: str | None) -> None:
    assert documents.data_file(given, "uq_sciq") == file


def test_a_task_name_that_looks_misspelt_gets_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert documents.data_file({"uq_scqi": "a.jsonl"}, "uq_sciq") is None
    assert "data_files names 'uq_scqi' and not uq_sciq" in caplog.text


def test_data_files_of_another_shape_are_refused() -> None:
    with pytest.raises(UQHarnessError, match=r"data_files is \['a'\]"):
        documents.data_file(["a"], "uq_sciq")


@pytest.mark.parametrize(
    ("convert", "row"),
    [
        (documents.sciq, {"correct_answer": "me", "distractor1": "you", "support": ""}),
        (documents.trivia_qa, {"answer": {"aliases": ["me", " "], "value": "me"}, "search_results": {}}),
        (documents.truthful_qa, {"correct_answers": ["", "me"], "incorrect_answers": ["you"]}),
        (documents.trivia_qa_examples, {"answer": {"aliases": ["(Old) Me", "me"], "value": "me"}}),
        (documents.truthful_qa_examples, {"best_answer": "me", "correct_answers": ["it is me", "me"]}),
    ],
)
def test_hub_data_sets_become_questions_with_answers(convert, row: dict) -> None:
    converted = convert(Dataset.from_list([{"question": "Who?", **row}]))
    assert converted.to_list() == [GOOD]
