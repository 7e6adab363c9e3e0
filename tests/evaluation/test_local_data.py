"""Local files: JSON, CSV and Parquet, by split, found from the task's folder."""

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from uq_harness.errors import UQHarnessError
from uq_harness.evaluation import local_data

ROWS = [{"question": "Which code has Namibia?", "answers": "NA"}, {"question": "Which agent?", "answers": "007"}]


def write(file: Path) -> Path:
    if file.suffix == ".csv":
        text = "question,answers\nWhich code has Namibia?,NA\nWhich agent?,007\n"
    elif file.suffix == ".tsv":
        text = "question\tanswers\nWhich code has Namibia?\tNA\nWhich agent?\t007\n"
    else:
        text = json.dumps(ROWS, indent=1) if file.suffix == ".json" else "\n".join(map(json.dumps, ROWS))
    if file.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), file)
    else:
        file.write_text(text, encoding="utf-8")
    return file


def task_data(data_files: Any, folder: Path, path: str = "json", **options: Any) -> local_data.LocalData:
    found = local_data.of_task(path, {"data_files": data_files, **options}, "validation", str(folder))
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.parquet"])
def test_every_format_gives_the_same_texts(tmp_path: Path, name: str) -> None:
    data = local_data.of_file(str(write(tmp_path / name)), "validation")
    assert [row for _, row in data.read("validation")] == ROWS


def test_formats_and_options_of_a_task(tmp_path: Path) -> None:
    write(tmp_path / "a.tsv"), write(tmp_path / "a.parquet")
    assert [row for _, row in task_data("a.tsv", tmp_path, "csv", sep="\t").read("validation")] == ROWS
    assert [row for _, row in task_data("a.parquet", tmp_path, "parquet").read("validation")] == ROWS


def test_splits_lists_and_patterns(tmp_path: Path) -> None:
    for name in ("a1.jsonl", "a2.jsonl", "b.jsonl"):
        write(tmp_path / name)
    data = task_data({"test": ["a1.jsonl", "b.jsonl"], "train": "a*.jsonl"}, tmp_path)
    assert [file.name for file in data.files["test"]] == ["a1.jsonl", "b.jsonl"]
    assert [file.name for file in data.files["train"]] == ["a1.jsonl", "a2.jsonl"]
    assert [place for place, _ in data.read("train")][::3] == [
        f"{tmp_path / name}, line {n}" for name, n in (("a1.jsonl", 1), ("a2.jsonl", 2))
    ]


def test_the_tasks_folder_comes_before_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, tasks = tmp_path / "here", tmp_path / "tasks"
    for folder in (here, tasks):
        folder.mkdir()
        write(folder / "both.jsonl")
    write(here / "only.jsonl")
    monkeypatch.chdir(here)
    assert task_data("both.jsonl", tasks).files["validation"] == [tasks / "both.jsonl"]
    assert task_data("only.jsonl", tasks).files["validation"] == [Path("only.jsonl")]
    assert task_data(str(here / "both.jsonl"), tasks).files["validation"] == [here / "both.jsonl"]


def test_a_file_that_does_not_exist_is_named_with_the_folders(tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match=rf"'no\.jsonl' does not exist in {tmp_path} or .*task's YAML"):
        task_data("no.jsonl", tmp_path)


@pytest.mark.parametrize("given", [7, {}, {"test": None}, {"test": []}, {"test": [3]}])
def test_another_shape_is_refused(tmp_path: Path, given: Any) -> None:
    with pytest.raises(UQHarnessError, match=r"data_files is .*: give a path"):
        task_data(given, tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", r"a\.csv' cannot be read as CSV"),
        ("a.csv", "question,answers\n", "holds no question"),
        ("a.csv", "question,answers\nWho?,me,you\nWhat?,this,that\n", "cannot be read as CSV .*quotes"),
        ("a.csv", "question,answers\nWho?,me\nWhat?,this,that\n", "cannot be read as CSV .*line 3"),
        ("a.parquet", "no table", "cannot be read as Parquet"),
        ("a.json", '[{"question": "Who?"', "a.json, line 1: not valid JSON"),
        ("a.json", '["Who?"]', "a.json, line 1: a JSON list"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, text: str, message: str) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UQHarnessError, match=message):
        local_data.of_file(str(file), "validation").read("validation")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seperator": ";"}, r"a\.csv' cannot be read as CSV .*seperator"),
        ({"encoding": "utf8x"}, r"a\.csv' cannot be read as CSV .*utf8x"),
        ({"encoding_errors": "drop"}, r"a\.csv' cannot be read as CSV .*drop"),
        ({"compression": "zip"}, r"a\.csv' cannot be read as CSV .*zip"),
        ({"chunksize": 2}, r"a\.csv' is read as a whole: leave chunksize and iterator out"),
        ({"iterator": True}, r"a\.csv' is read as a whole: leave chunksize and iterator out"),
    ],
)
def test_arguments_that_pandas_cannot_take(tmp_path: Path, options: dict, message: str) -> None:
    write(tmp_path / "a.csv")
    with pytest.raises(UQHarnessError, match=message):
        task_data("a.csv", tmp_path, "csv", **options).read("validation")


def test_a_row_with_fewer_cells_has_blank_ones(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("question,answers\nWho?\n", encoding="utf-8")
    assert local_data.of_file(str(tmp_path / "a.csv"), "x").read("x")[0][1] == {"question": "Who?", "answers": ""}


def test_what_is_elsewhere_is_left_to_datasets(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl")
    given = {"data_files": {"validation": "https://example.org/a.jsonl", "train": "a.jsonl"}}
    assert local_data.of_task("json", given, "validation", str(tmp_path)) is None
    assert local_data.found_files(given, "validation", str(tmp_path))["data_files"] == {
        "validation": ["https://example.org/a.jsonl"],
        "train": [str(tmp_path / "a.jsonl")],
    }
    assert local_data.of_task("json", {"data_files": "a.jsonl", "field": "data"}, "validation", str(tmp_path)) is None
    assert local_data.of_task("allenai/sciq", {}, "validation", None) is None
