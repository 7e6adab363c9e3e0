"""Task files and ``--metadata``: what may be said, and what is misspelt."""

import pytest

from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.configuration import nested_metadata, refuse_unknown_fields


def test_names_with_dots_are_nested() -> None:
    given = {"data_files.my.task": "a.jsonl", "correctness.name": "f1", "correctness.threshold": 0.5, "a.b": 1}
    assert nested_metadata(given) == {
        "data_files": {"my.task": "a.jsonl"},
        "correctness": {"name": "f1", "threshold": 0.5},
        "a.b": 1,
    }


def test_an_object_and_a_name_with_a_dot_are_one() -> None:
    given = {"data_files": {"a": "1"}, "data_files.b": "2"}
    assert nested_metadata(given) == {"data_files": {"a": "1", "b": "2"}}
    assert given == {"data_files": {"a": "1"}, "data_files.b": "2"}


@pytest.mark.parametrize(
    ("given", "judge"),
    [
        ({"correctness.name": "f1"}, {"name": "f1"}),
        ({"correctness.threshold": 0.5}, {"name": "exact_match", "threshold": 0.5}),
    ],
)
def test_the_judge_of_a_task_file_is_changed_in_part(given: dict, judge: dict) -> None:
    assert nested_metadata({"correctness": "exact_match", **given}) == {"correctness": judge}


def test_one_file_for_all_and_one_for_a_task_contradict() -> None:
    with pytest.raises(UQHarnessError, match=r"both data_files=all\.jsonl and data_files\.a=a\.jsonl"):
        nested_metadata({"data_files": "all.jsonl", "data_files.a": "a.jsonl"})
    with pytest.raises(UQHarnessError, match="both correctness="):
        nested_metadata({"correctness": ["f1", "exact_match"], "correctness.threshold": 0.5})


@pytest.mark.parametrize("name", ["data_file.uq_sciq", "corectness.name", "fewshot_file"])
def test_misspelt_names(name: str) -> None:
    with pytest.raises(UQHarnessError, match="which does nothing: did you mean"):
        nested_metadata({name: "x"})


def test_fields_of_a_task_file() -> None:
    base = {"doc_to_text": "{{question}}", "doc_to_target": "answers", "test_split": "test", "filter_list": []}
    refuse_unknown_fields({"task": "my_task", "dataset_path": "json", **base})
    with pytest.raises(UQHarnessError, match="task my_task has no doc_to_target: begin its file with include"):
        refuse_unknown_fields({"task": "my_task", "dataset_path": "json", "doc_to_text": "x"})
    with pytest.raises(UQHarnessError, match="task my_task: the field 'doc_to_txt' does not exist: did you mean"):
        refuse_unknown_fields({"task": "my_task", "dataset_path": "json", "doc_to_txt": "x"})
    with pytest.raises(UQHarnessError, match="task my_task names no data: add dataset_path: json"):
        refuse_unknown_fields({"task": "my_task", **base})
