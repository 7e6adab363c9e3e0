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
