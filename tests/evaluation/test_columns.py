"""Own columns: which are the question and the references, and what is said where one is not there."""

import random
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.columns import Columns
from uq_harness.evaluation.task_data import TaskData

ROW = {"clue": "It flows through Vienna", "solution": "Danube", "year": 1830, "id": 7}


def document(row: dict = ROW, **columns: Any) -> dict:
    (found,) = Columns(**columns).documents([("rivers.jsonl, line 1", row)])
    return found


def test_the_only_column_that_the_prompt_names_is_the_question() -> None:
    found = document(text="Which river? {{clue}}", target="solution")
    assert (found["question"], found["answers"]) == ("It flows through Vienna", ["Danube"])
    assert document(text="clue", target="solution")["question"] == "It flows through Vienna"


def test_a_column_called_question_is_the_question() -> None:
    found = document({**ROW, "question": "Which?"}, text="{{clue}} {{year}} {{question}}", target="solution")
    assert found["question"] == "Which?"


@pytest.mark.parametrize("asked", ["clue", "{{clue}}", lambda row: row["clue"]])
def test_the_question_can_be_told(asked: Any) -> None:
    assert document(text="{{clue}} ({{year}})", target="solution", asked=asked)["question"] == "It flows through Vienna"


def test_of_several_columns_none_is_taken_for_the_question() -> None:
    with pytest.raises(UQHarnessError, match=r"rivers\.jsonl, line 1: there is no column 'question'.*doc_to_question"):
        document(text="{{clue}} ({{year}})", target="solution")


@pytest.mark.parametrize(
    ("value", "target", "answers"),
    [
        ("Danube", "solution", ["Danube"]),
        (["Danube", "Donau", " "], "solution", ["Danube", "Donau"]),
        (1830, "solution", ["1830"]),
        ("Danube|Donau", "{{solution.split('|')}}", ["Danube", "Donau"]),
        ("Danube", "the {{solution}}", ["the Danube"]),
        ("Danube", ["{{solution}}"], ["{{solution}}"]),
        ("Danube", lambda row: [row["solution"], "Donau"], ["Danube", "Donau"]),
        ("[sic]", "{{solution}}", ["[sic]"]),
    ],
)
def test_references_are_a_list_or_a_single_one(value: Any, target: Any, answers: list[str]) -> None:
    assert document({**ROW, "solution": value}, text="clue", target=target)["answers"] == answers


@pytest.mark.parametrize("text", ["[3, 1, 2]", "['Who?']"])
def test_a_question_that_looks_like_a_list_stays_a_text(text: str) -> None:
    found = document({"clue": text, "solution": "[1, 2, 3]"}, text="{{clue}}", target="solution", asked="{{clue}}")
    assert (found["question"], found["answers"]) == (text, ["[1, 2, 3]"])


def test_documents_keep_the_columns_that_the_task_names() -> None:
    assert set(document(text="{{clue}}", target="solution")) == {"clue", "question", "answers"}
    found = document(text="{{clue}}", target="solution", others=("From {{year}}.", None, "id"))
    assert set(found) == {"clue", "year", "id", "question", "answers"}
    assert set(document(text=lambda row: row["clue"], target="solution", asked="clue")) == {*ROW, "question", "answers"}


def test_a_column_that_only_some_rows_have_is_empty_in_the_others() -> None:
    rows = [
        ("line 1", {"question": "a", "answers": ["b"]}),
        ("line 2", {"question": "c", "answers": ["d"], "hint": "e"}),
    ]
    found = Columns("{{question}} {{hint | default('')}}").documents(rows)
    assert [one["hint"] for one in found] == ["", "e"]
    with pytest.raises(UQHarnessError, match=r"line 1: doc_to_text .*'hint' is undefined"):
        Columns("{{question}} {{hint}}").documents(rows)


CHOICE = {"question": "Capital of France?", "short": "Capital?", "answers": ["Rome", "Paris"], "label": 1}
OPTIONS = "{{question}} Options: {{answers | join(', ')}}"
RIGHT = "{{answers[label]}}"


ANEW = random.SystemRandom()  # has no state that could be set again


def in_any_order(row: dict) -> str:
    options = list(row["answers"])
    random.shuffle(options)
    return f"{row['question']} Options: {', '.join(options)}"


def in_numpys_order(row: dict) -> str:
    return f"{row['question']} Options: {', '.join(np.random.permutation(row['answers']))}"  # noqa: NPY002


def in_place(row: dict) -> str:
    random.shuffle(row["answers"])
    return f"{row['question']} Options: {', '.join(row['answers'])}"


@pytest.mark.parametrize("text", [in_any_order, in_numpys_order, in_place])
@pytest.mark.parametrize("seed", range(8))
def test_options_that_a_function_shuffles_are_refused(text: Any, seed: int) -> None:
    row = {"question": "Capital?", "answers": ["Rome", "Paris", "Oslo", "Bern"], "label": 1}
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    with pytest.raises(UQHarnessError, match=r"rivers\.jsonl, line 1: .*would be 'Capital\? Options: Paris'"):
        document(row, text=text, target=RIGHT)
    assert row["answers"] == ["Rome", "Paris", "Oslo", "Bern"]


@pytest.mark.parametrize(
    "options",
    [
        lambda row: row["answers"],
        lambda row: row.get("answers"),
        lambda row: dict(row)["answers"],
        lambda row: dict(**row)["answers"],
        lambda row: ({} | row)["answers"],
        lambda row: row.copy()["answers"],
        lambda row: dict(row.items())["answers"],
        lambda row: str([*row.values()]),
        lambda row: row.pop("answers"),
    ],
)
def test_options_in_an_order_that_nobody_can_repeat_are_refused(options: Any) -> None:
    with pytest.raises(UQHarnessError, match=r"when made again, .*the column answers, which it reads: rename"):
        document(CHOICE, text=lambda row: f"{ANEW.random()} {options(row)}", target=RIGHT)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"text": OPTIONS},
            r"Options: Rome, Paris' of the row.*Options: Paris'.*the column answers, which it reads",
        ),
        ({"text": lambda row: f"Which of {row['answers']}?"}, r"Which of \['Rome', 'Paris'\]\?\" of the row"),
        ({"text": "{{question}}", "asked": "short"}, r"'Capital of France\?' of the row.*'Capital\?'.*column question"),
        ({"text": "question", "asked": "{{question.lower()}}"}, "'Capital of France.' of the row.*'capital of france"),
        ({"text": "{{question}}", "others": ("One of {{answers | join}}.",)}, "One of RomeParis.' of the row"),
        ({"text": "{{question}}", "example_target": "{{answers[1]}}"}, r"\['Paris'\] of the row, and would be None"),
    ],
)
def test_a_prompt_that_shows_a_column_which_the_document_replaces_is_refused(columns: dict, message: str) -> None:
    with pytest.raises(UQHarnessError, match=rf"rivers\.jsonl, line 1: .*{message}"):
        document(CHOICE, **{"target": RIGHT, **columns})


@pytest.mark.parametrize(
    ("columns", "answers"),
    [
        ({"text": "{{question}}"}, ["Paris"]),
        ({"text": "{{question}}", "example_target": RIGHT}, ["Paris"]),
        ({"text": lambda row: row["question"]}, ["Paris"]),
        ({"text": lambda row: f"{random.random()} {row['question']}"}, ["Paris"]),
        ({"text": lambda row: f"{ANEW.random()} {row['question']} {'answers' in row}"}, ["Paris"]),
        ({"text": "{{short}}", "asked": "short", "target": "short", "example_target": "{{short}}"}, ["Capital?"]),
        ({"text": "{{answers | length}} {{question}}", "target": "answers"}, ["Rome", "Paris"]),
    ],
)
def test_a_column_that_no_prompt_shows_may_be_replaced(columns: dict, answers: list[str]) -> None:
    assert document(CHOICE, **{"target": RIGHT, **columns})["answers"] == answers


def test_white_space_around_a_text_is_no_difference() -> None:
    row = {"question": " Capital of France? ", "answers": ["Paris\n", "Rome"]}
    columns = {"asked": "{{question | trim}}", "target": ["Paris", "Rome"]}
    found = document(row, text="{{question}} One of {{answers | join(', ')}}.", **columns)
    assert found == {"question": "Capital of France?", "answers": ["Paris", "Rome"]}
    with pytest.raises(UQHarnessError, match="the column question, which it reads"):
        document(row, text="{{question}}", **{**columns, "asked": "{{question | replace(' of ', '  of ')}}"})


@pytest.mark.parametrize("question", [np.array([1, 2]), [np.array([1, 2])], Dataset.from_dict({"a": [1]})])
def test_a_column_of_arrays_may_be_replaced_too(question: Any) -> None:
    row = {"question": question, "answers": np.array(["a", "b"]), **ROW}
    assert document(row, text="Q: {{clue}}", target="solution", asked="clue")["answers"] == ["Danube"]
    example = document(row, text="{{clue}}", target=["a", "b"], asked="clue", example_target="answers")
    assert example["answers"] == ["a", "b"]
    with pytest.raises(UQHarnessError, match="the column answers, which it reads"):
        document(row, text="{{clue}}", target="solution", asked="clue", example_target=lambda row: row["answers"])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"text": "clue", "target": "solutions"},
            "'solutions' is missing, which doc_to_target names: did you mean",
        ),
        ({"text": "clue", "target": "{{solutions}}"}, "doc_to_target '{{solutions}}' cannot be filled in .*undefined"),
        ({"text": "clue", "target": "{{solution"}, "doc_to_target '{{solution' cannot be filled in"),
        ({"text": "clue", "target": lambda row: row["answer"]}, "doc_to_target fails: KeyError"),
        ({"text": "{{clu}}", "target": "solution"}, "the field 'clu' is missing"),
        ({"text": "year", "target": "solution", "asked": "clue"}, "doc_to_text gives 1830"),
        ({"text": "clue", "target": "solution", "asked": "year"}, "the question is 1830"),
    ],
)
def test_what_is_not_there_is_named(columns: dict, message: str) -> None:
    with pytest.raises(UQHarnessError, match=rf"rivers\.jsonl, line 1: .*{message}"):
        document(**columns)


def test_a_prompt_that_names_another_column() -> None:
    columns = Columns("{{question}} {{hnit}}")
    with pytest.raises(UQHarnessError, match=r"my_task: doc_to_text .*'hnit' is undefined.*: the fields are question"):
        columns.check_text("my_task", {"question": "Who?", "answers": ["me"]})


def documents(questions: list, answers: list, keep: list[int] | None = None) -> list[dict]:
    """Those of a data set that ``datasets`` loaded, after a task's function kept some of its rows."""
    loaded = Dataset.from_dict({"question": questions, "answers": answers})
    data = TaskData("my_task", Columns("{{question}}"), file=None, fewshot_file=None, folder=None)
    return list(data.documents("test", loaded if keep is None else loaded.select(keep)))


@pytest.mark.parametrize(
    ("questions", "answers", "message"),
    [
        (["a", None], [["b"], ["c"]], "row 2: the question is None"),
        (["a", "\u00a0"], [["b"], ["c"]], "row 2: the question is '\\\\xa0'"),
        ([1, 2], [["b"], ["c"]], "row 1: the question is 1"),
        (["a", "b"], [["c"], [None, "d"]], r"row 2: the answers are \[None, 'd'\]: they need to be a text"),
        (["a", "b"], [["c"], None], "row 2: the answers are None"),
        (["a", "b"], [["c"], [" "]], "row 2: the question 'b' has no reference answer"),
    ],
)
def test_every_row_of_a_loaded_data_set_is_checked(questions: list, answers: list, message: str) -> None:
    with pytest.raises(UQHarnessError, match=f"my_task, test, {message}"):
        documents(questions, answers)
    assert documents(questions, answers, keep=[]) == []


def test_rows_of_a_loaded_data_set_become_texts() -> None:
    assert [one["answers"] for one in documents(["a", "b"], [[42], [1, 2]])] == [["42"], ["1", "2"]]
    assert [one["answers"] for one in documents(["a", "b"], [["c", ""], ["d"]])] == [["c"], ["d"]]


def test_rows_that_a_task_leaves_out_are_not_checked() -> None:
    found = documents(["a", None, "b"], [["c"], [None], []], keep=[0, 2])
    assert found == [{"question": "a", "answers": ["c"]}, {"question": "b", "answers": []}]
