"""Tasks outside the package: found by their include, run by the stock command, and refused with the reason."""

import json
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from lm_eval.tasks import TaskManager
from typer.testing import CliRunner

import uq_harness
from tests.evaluation.stock import stock
from uq_harness.cli import app
from uq_harness.errors import UQHarnessError

TEN_LINES = """\
include: uq_harness:question_answering
task: my_rivers
dataset_path: json
dataset_kwargs:
  data_files:
    validation: questions.jsonl
    train: examples.jsonl
fewshot_split: train
metadata: {version: 1.0, correctness: exact_match}
"""
ASKS = "Please directly answer the following question with one or few words:\n"


@pytest.fixture(autouse=True)
def _registered() -> None:
    uq_harness.register()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the task and its data in a folder of their own."""
    task = tmp_path / "mytasks" / "my_rivers"
    task.mkdir(parents=True)
    (task / "my_rivers.yaml").write_text(TEN_LINES, encoding="utf-8")
    lines(
        task / "questions.jsonl",
        {"question": "Vienna?", "answers": ["Danube"]},
        {"question": "Bonn?", "answers": "Rhine"},
    )
    lines(
        task / "examples.jsonl",
        *(
            {"question": f"{city}?", "answers": [river]}
            for city, river in (("London", "Thames"), ("Paris", "Seine"), ("Cairo", "Nile"))
        ),
    )
    return tmp_path / "mytasks"


def lines(file: Path, *rows: dict) -> None:
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def change(folder: Path, old: str, new: str) -> None:
    file = folder / "my_rivers" / "my_rivers.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def manager(folder: Path, **metadata: Any) -> TaskManager:
    return TaskManager(include_path=str(folder), include_defaults=False, metadata=metadata)


def load(folder: Path, **metadata: Any) -> Any:
    return manager(folder, **metadata).load(["my_rivers"])["tasks"]["my_rivers"]


DEMO = ("--model", "uq-hf", "--model_args", "pretrained=demo,methods=g_nll", "--apply_chat_template", "--device", "cpu")


def test_the_stock_command_runs_it_with_worked_examples_and_a_system_prompt(folder: Path) -> None:
    done = stock(
        *("run", "--include_path", "mytasks", "--tasks", "my_rivers", *DEMO, "--num_fewshot", "3"),
        *("--fewshot_as_multiturn", "--system_instruction", "Be brief.", "--output_path", "out", "--log_samples"),
        folder=folder.parent,
    )
    assert done.returncode == 0, done.stderr
    assert "my_rivers" in done.stdout
    (samples,) = (folder.parent / "out").rglob("samples_my_rivers_*.jsonl")
    first, second = (json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines())
    assert (first["doc"]["answers"], second["doc"]["answers"]) == (["Danube"], ["Rhine"])
    prompt = first["arguments"]["gen_args_0"]["arg_0"]
    assert prompt.startswith("<|im_start|>system\nBe brief.<|im_end|>")
    assert prompt.count("<|im_start|>assistant\n") == 4
    for city, river in (("London", "Thames"), ("Paris", "Seine"), ("Cairo", "Nile")):
        assert f"{ASKS}{city}?<|im_end|>\n<|im_start|>assistant\n{river}<|im_end|>" in prompt
    assert prompt.rstrip().endswith(f"{ASKS}Vienna?<|im_end|>\n<|im_start|>assistant")


@pytest.mark.parametrize(
    "tasks", [("--tasks", "my_rivers", "--include_path", "."), ("--tasks", "my_rivers/my_rivers.yaml")]
)
def test_a_misspelt_include_ends_the_command_with_the_reason(folder: Path, tasks: tuple[str, ...]) -> None:
    change(folder, "uq_harness:question_answering", "uq_harness:question_answring")
    done = stock("run", *tasks, *DEMO, folder=folder)
    assert done.returncode == 2
    assert "uq_harness:question_answring does not exist: did you mean uq_harness:question_answering?" in done.stderr
    assert "Tasks not found" not in done.stderr


def test_validate(folder: Path) -> None:
    fine = stock("validate", "--tasks", "my_rivers", "--include_path", ".", folder=folder)
    assert (fine.returncode, "All tasks found and valid" in fine.stdout) == (0, True)
    change(folder, "uq_harness:question_answering", "_question_answering.yaml_")
    wrong = stock("validate", "--tasks", "my_rivers", "--include_path", ".", folder=folder)
    assert wrong.returncode == 2
    assert "its include '_question_answering.yaml_' does not exist" in wrong.stderr


def test_from_python_by_name_and_by_file(folder: Path) -> None:
    for task in ("my_rivers", str(folder / "my_rivers" / "my_rivers.yaml")):
        found = lm_eval.simple_evaluate(
            model="uq-hf",
            model_args="pretrained=demo,methods=g_nll",
            tasks=[task],
            task_manager=manager(folder),
            apply_chat_template=True,
            device="cpu",
        )
        assert found["configs"]["my_rivers"]["dataset_kwargs"]["data_files"]["train"] == "examples.jsonl"
        assert len(found["samples"]["my_rivers"]) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("uq_harness:", "uq-harness:", "its include 'uq-harness:question_answering' does not exist"),
        (
            "include: uq_harness:question_answering\n",
            "",
            "has neither include nor doc_to_text: .* begins with include",
        ),
        ("task: my_rivers", "task: my_rivers\n  x: [", "cannot be loaded: "),
    ],
)
def test_why_a_file_was_left_out(folder: Path, old: str, new: str, message: str) -> None:
    change(folder, old, new)
    tasks = manager(folder)
    for ask in (tasks.match_tasks, tasks.load):
        with pytest.raises(UQHarnessError, match=message):
            ask(["my_rivers"])
    assert tasks.match_tasks(["uq_demo"]) == ["uq_demo"]


def test_a_file_that_is_left_out_does_not_hide_another_of_that_name(folder: Path) -> None:
    (folder / "older.yaml").write_text("include: nowhere\ntask: my_rivers\n", encoding="utf-8")
    assert load(folder).config.task == "my_rivers"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("validation: questions", "test: questions", "test_split is 'validation', and the data have test, train"),
        ("questions.jsonl", "qestions.jsonl", "'qestions.jsonl' does not exist in .*my_rivers"),
        ("fewshot_split", "fewshot_splt", "the field 'fewshot_splt' does not exist: did you mean fewshot_split"),
        ("correctness", "corectness", "did you mean correctness"),
        ("task:", "doc_to_target: reply\ntask:", r"questions\.jsonl, line 1: the field 'reply' is missing"),
        ("task:", "doc_to_text: '{{question}} {{hint}}'\ntask:", "line 1: doc_to_text .*'hint' is undefined"),
    ],
)
def test_what_is_wrong_in_it_is_said_before_any_work(folder: Path, old: str, new: str, message: str) -> None:
    change(folder, old, new)
    with pytest.raises(UQHarnessError, match=message):
        load(folder)


@pytest.fixture
def clues(folder: Path) -> Path:
    """The task with columns of its own, in a CSV file."""
    own = (
        "include: uq_harness:question_answering\ntask: my_rivers\n"
        "dataset_path: csv\ndataset_kwargs: {data_files: rivers.csv, sep: ';'}\n"
        "doc_to_text: 'Which river? {{clue}}'\ndoc_to_target: \"{{names.split('/')}}\"\n"
        "description: 'Rivers of {{continent}}. '\nmetadata: {correctness: exact_match}\n"
    )
    (folder / "my_rivers" / "my_rivers.yaml").write_text(own, encoding="utf-8")
    (folder / "my_rivers" / "rivers.csv").write_text(
        "clue;names;continent;length\nThrough Vienna;Danube/Donau;Europe;2850\nThrough Cairo;Nile;Africa;6650\n"
    )
    return folder


def test_own_columns_of_a_csv_file(clues: Path) -> None:
    task = load(clues)
    assert task.eval_docs[0] == {
        "clue": "Through Vienna",
        "continent": "Europe",
        "question": "Through Vienna",
        "answers": ["Danube", "Donau"],
    }
    text = prompt(task, shots=1)
    assert text == "Rivers of Europe. Which river? Through Cairo Nile\n\nWhich river? Through Vienna"


def test_answers_to_own_columns_can_be_judged_again(clues: Path) -> None:
    words = ("--tasks", "my_rivers", "--include_path", ".", *DEMO, "--output_path", "out", "--log_samples")
    done = stock("run", *words, folder=clues)
    assert done.returncode == 0, done.stderr
    (samples,) = (clues / "out").rglob("samples_my_rivers_*.jsonl")
    again = CliRunner().invoke(app, ["score", str(samples), "--correctness", "f1", "--json"], catch_exceptions=False)
    (found,) = json.loads(again.stdout)
    assert "accuracy,f1" in found["results"]
    rows = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    assert [row["doc"]["answers"] for row in rows] == [["Danube", "Donau"], ["Nile"]]


def prompt(task: Any, shots: int = 0) -> str:
    """The first question's prompt in plain text."""
    task.override_metric(metric_name="bypass")
    task.set_config(key="num_fewshot", value=shots)
    task.set_fewshot_seed(0)
    task.build_all_requests(limit=1)
    return str(task.instances[0].args[0])


def test_worked_examples_in_the_task_file(folder: Path) -> None:
    change(folder, "fewshot_split: train", "fewshot_config: {samples: [{question: 'Rome?', answers: Tiber}]}")
    assert prompt(load(folder), shots=1) == f"{ASKS}Rome? Tiber\n\n{ASKS}Vienna?"


def test_rows_may_go_through_a_function_first(folder: Path) -> None:
    change(folder, "task:", "process_docs: !function clean.shout\ntask:")
    (folder / "my_rivers" / "clean.py").write_text(
        "def shout(rows):\n    return rows.map(lambda row: {'question': row['question'].upper()})\n"
    )
    lines(folder / "my_rivers" / "questions.jsonl", {"question": "Vienna?", "answers": "Danube"})
    assert prompt(load(folder), shots=1).endswith(f"{ASKS}VIENNA?")
    assert load(folder).eval_docs[0]["answers"] == ["Danube"]


def test_what_datasets_reads_becomes_documents_too(folder: Path) -> None:
    change(folder, "validation: questions.jsonl", "validation: nested.json")
    change(folder, "dataset_kwargs:\n", "dataset_kwargs:\n  field: rows\n")
    change(folder, "task:", "doc_to_target: reply\ntask:")
    rows = {"rows": [{"question": "Vienna?", "reply": "Danube"}, {"question": "Bonn?", "reply": "Rhine"}]}
    for name in ("nested.json", "examples.jsonl"):
        (folder / "my_rivers" / name).write_text(json.dumps(rows), encoding="utf-8")
    task = load(folder)
    assert task.eval_docs["answers"] == [["Danube"], ["Rhine"]]
    assert prompt(task, shots=1) == f"{ASKS}Bonn? Rhine\n\n{ASKS}Vienna?"


def test_metadata_names_another_file_in_any_shell(folder: Path, tmp_path: Path) -> None:
    lines(tmp_path / "other.jsonl", {"question": "Rome?", "answers": ["Tiber"]})
    task = load(folder, **{"data_files.my_rivers": str(tmp_path / "other.jsonl"), "correctness.name": "f1"})
    assert task.eval_docs["question"] == ["Rome?"]
    assert task.config.metadata["judges"][0]["name"] == "f1"


def test_a_split_that_nothing_reads_is_named(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    change(folder, "fewshot_split: train\n", "")
    load(folder)
    assert "my_rivers: the split train of data_files is not used" in caplog.text
