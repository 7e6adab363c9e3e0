"""What a file of paraphrases may hold, what is dropped from it, and the messages where it cannot be read."""

import json
from pathlib import Path

import pytest

from tests.support import SHARED, requires_shared
from uq_harness.errors import UQHarnessError
from uq_harness.studies.paraphrase.file import Dropped, Paraphrased, read_paraphrases

GOOD = {"id": 7, "question": "Who are you?", "paraphrases": ["Who is it?", "What's your name?"]}


def write(folder: Path, *lines: object) -> Path:
    file = folder / "paraphrases.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return file


def test_a_clean_file_drops_nothing_and_warns_of_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = {"question": "Why?", "paraphrases": ["What for?"]}
    found = read_paraphrases(write(tmp_path, GOOD, "", one))
    assert found.questions == (
        Paraphrased("Who are you?", ("Who is it?", "What's your name?"), 7),
        Paraphrased("Why?", ("What for?",)),
    )
    assert found.dropped == Dropped()
    assert not caplog.text


def test_what_is_dropped_is_counted_in_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    many = {
        "question": "Why?",
        "paraphrases": ["What for?", "Why? ", "What  for?", " ", "How come?", "What for?"],
    }
    again = {"question": "Who are you?", "paraphrases": ["Who is it?", "Who goes there?"]}
    none = {"question": "When?", "paraphrases": ["When?"]}
    found = read_paraphrases(write(tmp_path, GOOD, many, again, none))
    assert found.questions == (
        Paraphrased("Who are you?", ("Who is it?", "What's your name?", "Who goes there?"), 7),
        Paraphrased("Why?", ("What for?", "How come?")),
    )
    assert found.dropped == Dropped(
        duplicates=3, same_as_question=2, blank=1, repeated_questions=1, without_paraphrases=1
    )
    (record,) = caplog.records
    assert "3 duplicate(s), 2 equal to their question, 1 blank" in record.getMessage()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"paraphrases": ["Who?"]}, "line 2: the field 'question' is missing"),
        ({"question": "Who?"}, "line 2: the field 'paraphrases' is missing"),
        ({"question": " ", "paraphrases": ["Who?"]}, "line 2: the question is ' '"),
        ({"question": "Who?", "paraphrases": "Which one?"}, "line 2: the paraphrases are 'Which one\\?'"),
        ({"question": "Who?", "paraphrases": ["Which?", None]}, "line 2: the paraphrases are"),
        ({"question": "Who?", "paraphrases": ["Which\ud800?"]}, "line 2: a text holds half of a surrogate pair"),
        ('{"question": "Who', "line 2: not valid JSON"),
        ("[]", "line 2: a JSON list"),
    ],
)
def test_names_file_and_line_of_what_is_wrong(tmp_path: Path, line: object, message: str) -> None:
    with pytest.raises(UQHarnessError, match=rf"paraphrases\.jsonl, {message}"):
        read_paraphrases(write(tmp_path, GOOD, line))


@pytest.mark.parametrize("lines", [[], ["", "  "], [{"question": "Who?", "paraphrases": []}]])
def test_a_file_without_anything_to_use_is_refused(tmp_path: Path, lines: list) -> None:
    with pytest.raises(UQHarnessError, match="holds no question with a paraphrase"):
        read_paraphrases(write(tmp_path, *lines))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match=r"paraphrase file .*nowhere\.jsonl' does not exist"):
        read_paraphrases(tmp_path / "nowhere.jsonl")


@requires_shared
@pytest.mark.parametrize(("name", "count", "same"), [("sciq", 1000, 0), ("truthfulqa", 817, 1)])
def test_the_shared_files(name: str, count: int, same: int) -> None:
    file = SHARED / "data" / name / "paraphrases.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    found = read_paraphrases(file)
    assert len(found.questions) == count
    assert found.dropped.same_as_question == same
    assert found.dropped.duplicates == sum(len(row["paraphrases"]) - len(set(row["paraphrases"])) for row in rows)
