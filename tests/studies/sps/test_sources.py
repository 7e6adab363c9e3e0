"""Names of data sets, their tasks, and what is said where a file and its task do not fit."""

import json
from pathlib import Path

import pytest

from tests.studies.sps.data import demo_rows, write_rows
from tests.support import warnings_of
from uq_harness.errors import UQHarnessError
from uq_harness.studies.sps.prompts import read_sources


def test_a_data_set_is_called_by_its_file_or_its_folder_or_by_the_user(tmp_path: Path) -> None:
    (tmp_path / "sciq").mkdir()
    own, shared = write_rows(tmp_path / "mine.jsonl", demo_rows(2)), tmp_path / "sciq" / "paraphrases.jsonl"
    write_rows(shared, demo_rows(2))
    sources = read_sources([str(own), str(shared), f"third={own}"])
    assert [source.name for source in sources] == ["mine", "sciq", "third"]


def test_an_equals_sign_in_an_existing_path_is_no_name(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "n=5.jsonl", demo_rows(2))
    assert read_sources([str(file)])[0].name == "n=5"


def test_equal_names_and_names_that_no_file_can_bear_are_refused(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", demo_rows(2))
    with pytest.raises(UQHarnessError, match=r"two data sets are called 'a'.*NAME=FILE"):
        read_sources([str(file), str(file)])
    with pytest.raises(UQHarnessError, match="the name 'x/y' cannot be part"):
        read_sources([f"x/y={file}"])


def test_one_question_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match="gives only 1"):
        read_sources([str(write_rows(tmp_path / "a.jsonl", demo_rows(1)))])


def test_limit_takes_the_first_questions(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "a.jsonl", demo_rows(5))
    questions = read_sources([str(file)], limit=3)[0].questions
    assert [one.question for one in questions] == [row["question"] for row in demo_rows(3)]


class TestTasks:
    def test_other_questions_than_the_tasks_are_refused(self, tmp_path: Path) -> None:
        foreign = {"question": "Who wrote Faust?", "paraphrases": ["Faust is by whom?"]}
        file = write_rows(tmp_path / "a.jsonl", [*demo_rows(3), foreign])
        with pytest.raises(UQHarnessError, match=r"1 of 4 questions are not uq_demo's.*'Who wrote Faust\?'"):
            read_sources([str(file)], ["uq_demo"])
        assert read_sources([str(file)])[0].documents is None

    def test_questions_of_the_task_that_are_missing_are_counted_in_a_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        read_sources([str(write_rows(tmp_path / "a.jsonl", demo_rows(3)))], ["uq_demo"])
        assert "paraphrases for 3 of the 252 questions of uq_demo" in caplog.text

    def test_local_data_of_a_task(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        rows = demo_rows(3)
        questions = tmp_path / "questions.jsonl"
        questions.write_text("".join(json.dumps({"question": r["question"], "answers": ["x"]}) + "\n" for r in rows))
        metadata = {"data_files": {"uq_sciq": str(questions)}}
        (source,) = read_sources([str(write_rows(tmp_path / "a.jsonl", rows))], ["uq_sciq"], metadata)
        assert source.task.config.task == "uq_sciq"
        assert source.document(rows[0]["question"], "In other words?") == {
            "question": "In other words?",
            "answers": ["x"],
        }
        assert not warnings_of(caplog)

    def test_a_task_of_ones_own_puts_its_questions_its_own_way(self, tmp_path: Path) -> None:
        rows = demo_rows(3)
        questions = tmp_path / "questions.jsonl"
        lines = [{"question": row["question"], "answers": ["x"]} for row in rows]
        questions.write_text("".join(json.dumps(line) + "\n" for line in lines))
        base = Path(__file__).parents[3] / "tasks" / "_question_answering.yaml_"
        task = tmp_path / "my_task.yaml"
        task.write_text(
            f"include: {base}\ntask: my_task\ndataset_path: json\ndataset_kwargs:\n  data_files: {questions}\n"
            'doc_to_text: "Q: {{question}} A:"\n'
        )
        (source,) = read_sources([str(write_rows(tmp_path / "a.jsonl", rows))], [str(task)])
        assert source.task.doc_to_text(source.document(rows[0]["question"], "Why?")) == "Q: Why? A:"

    @pytest.mark.parametrize(
        ("tasks", "message"),
        [
            (["uq_dmeo"], "task 'uq_dmeo' is unknown: use .*uq_sciq"),
            (["uq_demo", "uq_demo"], r"names 2 task\(s\) for 1 paraphrase file"),
        ],
    )
    def test_tasks_that_do_not_fit(self, tmp_path: Path, tasks: list[str], message: str) -> None:
        with pytest.raises(UQHarnessError, match=message):
            read_sources([str(write_rows(tmp_path / "a.jsonl", demo_rows(2)))], tasks)
