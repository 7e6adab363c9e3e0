"""What an application loads: files that were made well work, and any other is refused with a sentence."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.results.files import task_run
from uq_harness import Abstainer
from uq_harness.abstention.policy import as_values, make_policy
from uq_harness.errors import UQHarnessError


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    """What ``uq-harness threshold`` writes."""
    random = np.random.default_rng(0)
    correct = (random.random(400) < 0.8).astype(int)
    run = task_run(correct, {"g_nll": random.normal(size=400) - 2 * correct})
    return json.loads(json.dumps(as_values(make_policy(run, "g_nll", 0.2, 0.1))))


@pytest.fixture
def load(content: dict[str, Any], tmp_path: Path) -> Callable[..., Abstainer]:
    def load(*lost: str, **changes: object) -> Abstainer:
        file = tmp_path / "threshold.json"
        kept = {name: value for name, value in content.items() if name not in lost}
        file.write_text(json.dumps(kept | changes), encoding="utf-8")
        return Abstainer.load(file)

    return load


def test_a_file_as_written(load: Callable[..., Abstainer], content: dict[str, Any]) -> None:
    abstainer = load()
    assert abstainer.threshold == content["threshold"]
    assert abstainer.should_answer(np.float32(abstainer.threshold - 1))
    assert not any(map(abstainer.should_answer, (None, math.nan, math.inf, -math.inf, abstainer.threshold)))


@pytest.mark.parametrize("field", ["method", "answer", "threshold", "target", "delta", "error_curve"])
def test_a_lost_field(load: Callable[..., Abstainer], field: str) -> None:
    with pytest.raises(UQHarnessError, match=f"no '{field}'.*make the file with `uq-harness threshold`"):
        load(field)


@pytest.mark.parametrize(
    "changes",
    [
        {"method": None},
        {"answer": "sometimes"},
        {"answer": []},
        {"threshold": None},
        {"threshold": "0.5"},
        {"threshold": math.nan},
        {"target": 7},
        {"delta": True},
        {"error_curve": []},
        {"error_curve": {"scores": [1.0], "probabilities": []}},
        {"error_curve": {"scores": ["a"], "probabilities": [0.5]}},
        {"error_curve": {"scores": [2.0, 1.0], "probabilities": [0.1, 0.2]}},
        {"error_curve": {"scores": [1.0], "probabilities": [9.0]}},
    ],
    ids=str,
)
def test_a_field_that_makes_no_sense(load: Callable[..., Abstainer], changes: dict[str, object]) -> None:
    with pytest.raises(UQHarnessError, match=r"threshold\.json"):
        load(**changes)


@pytest.mark.parametrize("bytes_", [b"", b"\xff", b"null", b"[" * 100_000], ids=["empty", "binary", "null", "brackets"])
def test_a_file_of_another_kind(tmp_path: Path, bytes_: bytes) -> None:
    (tmp_path / "file").write_bytes(bytes_)
    with pytest.raises(UQHarnessError, match="make the file with `uq-harness threshold`"):
        Abstainer.load(tmp_path / "file")


def test_a_value_that_is_not_allowed_in_python() -> None:
    with pytest.raises(UQHarnessError, match="threshold is nan"):
        Abstainer("g_nll", threshold=math.nan, target=0.1, delta=0.05)


class Answer:
    """All that is read of an answer."""

    def __init__(self, **uncertainty: float) -> None:
        self.uncertainty = uncertainty


class TestTakes:
    abstainer = Abstainer("g_nll", threshold=0.5, target=0.1, delta=0.05, curve=((0.0, 0.0), (1.0, 0.4)))

    @pytest.mark.parametrize("score", [0.25, 0.75, math.nan])
    def test_an_answer_its_scores_and_its_score_alike(self, score: float) -> None:
        answer = Answer(g_nll=score, semgrad=9.0)
        for given in (answer, answer.uncertainty, score, np.float64(score)):
            assert self.abstainer.should_answer(given) == (score < 0.5)
            expected = math.nan if math.isnan(score) else 0.4 * score
            assert self.abstainer.error_probability(given) == pytest.approx(expected, nan_ok=True)

    def test_a_score_that_is_null_in_a_record(self) -> None:
        assert not self.abstainer.should_answer({"g_nll": None})

    @pytest.mark.parametrize("given", [Answer(semgrad=0.1), {"semgrad": 0.1}, {}])
    def test_no_answer_without_its_method(self, given: object) -> None:
        with pytest.raises(UQHarnessError, match=r"no score of g_nll, .* methods='g_nll'"):
            self.abstainer.should_answer(given)

    @pytest.mark.parametrize("given", ["0.1", True, [0.1], {"g_nll": "low"}, {"g_nll": {}}, object(), np.ones(3)])
    def test_nothing_else(self, given: object) -> None:
        for call in (self.abstainer.should_answer, self.abstainer.error_probability):
            with pytest.raises(UQHarnessError, match="is no answer: give an answer of UncertaintyModel"):
                call(given)


@pytest.mark.parametrize(
    ("threshold", "shown"), [(1 / 3, "sar < 0.3333"), (math.inf, "sar, all answers"), (-math.inf, "sar, no answers")]
)
def test_it_is_shown_in_a_line(threshold: float, shown: str) -> None:
    curve = tuple((number / 7, number / 100) for number in range(100))
    abstainer = Abstainer("sar", threshold, 0.1, 0.05, curve, {"error_curve": curve})
    assert repr(abstainer) == f"Abstainer({shown}, target=0.1, delta=0.05)"
