"""Any iterable of questions: taken at once, or a batch at a time, in its order."""

from collections.abc import Callable, Iterator
from itertools import cycle, islice

import numpy as np
import pandas as pd
import pytest

from tests.support import read_questions
from uq_harness import ScoredAnswer, UncertaintyModel
from uq_harness.demo import QUESTIONS
from uq_harness.errors import UQHarnessError

ASKED = [row["question"] for row in read_questions(QUESTIONS)[:10]]


@pytest.fixture(scope="module")
def model() -> UncertaintyModel:
    return UncertaintyModel.from_pretrained("demo", methods="g_nll+semgrad", batch_size=4, max_new_tokens=12)


@pytest.fixture(scope="module")
def expected(model: UncertaintyModel) -> list[ScoredAnswer]:
    return model.answer(ASKED)


@pytest.mark.parametrize("kind", [tuple, iter, np.array, lambda asked: np.array(asked, dtype=object), pd.Series])
def test_of_any_kind_have_the_answers_of_a_list(
    kind: Callable[[list[str]], object], model: UncertaintyModel, expected: list[ScoredAnswer]
) -> None:
    found = model.answer(kind(ASKED))
    assert found == expected
    assert {type(answer.question) for answer in found} == {str}
    assert [answer.text for answer in model.stream(kind(ASKED))] == [answer.text for answer in expected]


def test_a_stream_has_the_same_scores(model: UncertaintyModel, expected: list[ScoredAnswer]) -> None:
    for ours, alone in zip(model.stream(ASKED), expected, strict=True):
        assert ours.token_ids == alone.token_ids
        assert ours.uncertainty == pytest.approx(alone.uncertainty, rel=1e-4)


def test_a_stream_takes_one_batch_ahead(model: UncertaintyModel, expected: list[ScoredAnswer]) -> None:
    taken = []

    def without_end() -> Iterator[str]:
        for asked in cycle(ASKED):
            taken.append(asked)
            yield asked

    stream = model.stream(without_end())
    assert taken == []
    first = next(stream)
    assert (first.token_ids, len(taken)) == (expected[0].token_ids, 4)
    assert [answer.text for answer in islice(stream, 4)] == [answer.text for answer in expected[1:5]]
    assert len(taken) == 8


def test_a_stream_keeps_what_it_gave_before_a_question_that_is_none(model: UncertaintyModel) -> None:
    stream = model.stream([*ASKED[:5], " "])
    assert [next(stream).question for _ in range(4)] == ASKED[:4]
    with pytest.raises(UQHarnessError, match="question 6 is blank"):
        next(stream)


@pytest.mark.parametrize("asked", [ASKED, iter(ASKED)], ids=["list", "iterator"])
def test_progress_is_shown_where_it_is_wanted(
    asked: object, model: UncertaintyModel, capsys: pytest.CaptureFixture[str]
) -> None:
    list(model.stream(ASKED[:2]))
    assert capsys.readouterr().err == ""
    list(model.stream(asked, progress=True))
    shown = capsys.readouterr().err
    assert ("10/10" if asked is ASKED else "10it") in shown


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ("Who?", "got 'Who\\?': put a single one into"),
        (b"Who?", "put a single one into"),
        ([{"role": "user", "content": "Who?"}], "put a single one into"),
        ({"question": "Who?"}, "put a single one into"),
        (pd.DataFrame({"question": ASKED, "id": range(10)}), r"a table \(question, id\): give one column"),
        (np.array("Who?"), "give a list, an array"),
        (3, "give a list, an array"),
        (None, "give a list, an array"),
    ],
    ids=["text", "bytes", "conversation", "mapping", "table", "array without dimensions", "number", "nothing"],
)
@pytest.mark.parametrize("call", ["answer", "stream", "astream"])
def test_what_is_no_list_of_questions_is_refused_at_once(
    call: str, questions: object, message: str, model: UncertaintyModel
) -> None:
    with pytest.raises(UQHarnessError, match=rf"{call}\(\) takes several questions.*{message}"):
        getattr(model, call)(questions)


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        (pd.Series(["Who?", None]), "question 2 is (nan|None): it needs to be a text"),
        (np.array([["Who?", "What?"]]), "question 1 is array.* it needs to be a text"),
        (range(3), "question 1 is 0: it needs to be a text"),
        (iter([{"question": "Who?"}]), "question 1 is {.* it needs to be a text"),
    ],
    ids=["missing value", "two dimensions", "numbers", "rows"],
)
def test_an_element_that_is_no_question_is_named(questions: object, message: str, model: UncertaintyModel) -> None:
    with pytest.raises(UQHarnessError, match=message):
        model.answer(questions)
