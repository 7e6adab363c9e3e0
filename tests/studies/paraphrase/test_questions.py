"""Where the questions come from."""

import json
from pathlib import Path

import pytest

from uq_harness.demo import QUESTIONS
from uq_harness.errors import UQHarnessError
from uq_harness.studies.paraphrase.questions import Question, questions_of_file, questions_of_task


def write(file: Path, *rows: dict) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_a_file_keeps_ids_and_answers_where_it_has_them(tmp_path: Path) -> None:
    file = write(tmp_path / "own.jsonl", {"id": 7, "question": "Who?", "answers": ["me"]}, {"question": "Why?"})
    assert questions_of_file(file) == [Question(7, "Who?", ("me",)), Question("own-1", "Why?", None)]


def test_a_question_that_comes_twice_is_asked_once(tmp_path: Path) -> None:
    file = write(tmp_path / "own.jsonl", {"id": 1, "question": "Who?"}, {"id": 2, "question": "Who?"})
    assert questions_of_file(file) == [Question(1, "Who?")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds no question"),
        ('{"answers": []}', "line 1: the field 'question' is missing"),
        ('{"question": " "}', "line 1: the question is ' '"),
        ('{"question": "Who?", "answers": "me"}', "line 1: the answers"),
        ('{"question": "Who?"}\n{"ques', "line 2: not valid JSON"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text(content)
    with pytest.raises(UQHarnessError, match=words):
        questions_of_file(tmp_path / "own.jsonl")


def test_a_tasks_questions() -> None:
    rows = [json.loads(line) for line in Path(QUESTIONS).read_text(encoding="utf-8").splitlines()]
    found = questions_of_task("uq_demo")
    assert [question.question for question in found] == [row["question"] for row in rows]
    assert [list(question.answers or ()) for question in found] == [row["answers"] for row in rows]
    assert found[3].id == "uq_demo-3"


def test_local_data_of_a_task(tmp_path: Path) -> None:
    file = write(tmp_path / "own.jsonl", {"question": "Who?", "answers": ["me", " "]})
    found = questions_of_task("uq_sciq", {"data_files": {"uq_sciq": str(file)}})
    assert found == [Question("uq_sciq-0", "Who?", ("me",))]


def test_a_task_of_the_users_own(tmp_path: Path) -> None:
    file = write(tmp_path / "own.jsonl", {"question": "Who?", "answers": ["me"]})
    base = Path(__file__).parents[3] / "tasks" / "_question_answering.yaml_"
    task = f"include: {base}\ntask: own_task\ndataset_path: json\ndataset_kwargs:\n  data_files: {file}\n"
    (tmp_path / "own.yaml").write_text(task)
    assert questions_of_task("own_task", include_path=str(tmp_path)) == [Question("own_task-0", "Who?", ("me",))]


@pytest.mark.parametrize(
    ("task", "words"), [("uq_siq", "'uq_siq' does not exist: use one of .*uq_sciq"), ("uq_bench", "is a group")]
)
def test_no_such_task(task: str, words: str) -> None:
    with pytest.raises(UQHarnessError, match=words):
        questions_of_task(task)
