"""Any JSON value in any field of a policy: it decides as the file says, or is refused with a sentence."""

import contextlib
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from uq_harness import Abstainer, UncertaintyModel
from uq_harness.errors import UQHarnessError

GOOD = {
    "format": "uq-harness abstention 1",
    "method": "sar",
    "answer": "below",
    "threshold": 0.5,
    "target": 0.1,
    "delta": 0.05,
    "error_curve": {"scores": [0.0, 1.0], "probabilities": [0.1, 0.9]},
}
DEEP = json.loads("[" * 400 + "]" * 400)
VALUES = (
    *(None, True, False, -1, 0, 3, 0.5, 10**400, -(10**400), float("nan"), float("inf"), 1e308, "", "x", "0.5", "all"),
    *([], [1], [None], ["x"], [10**400, 1], [0.2, 0.1], [0.1, 0.2], {}, {"scores": []}, {"0": 1}, DEEP),
)
PLACES = ("format", "method", "answer", "threshold", "target", "delta", "error_curve", "scores", "probabilities")


def changed(place: str, value: object) -> dict[str, object]:
    if place in ("scores", "probabilities"):
        return {**GOOD, "error_curve": {**GOOD["error_curve"], place: value}}  # type: ignore[dict-item]
    return {**GOOD, place: value}


@pytest.mark.parametrize("place", PLACES)
def test_it_decides_or_is_refused(place: str, tmp_path: Path) -> None:
    for value in VALUES:
        file = tmp_path / "policy.json"
        file.write_text(json.dumps(changed(place, value)), encoding="utf-8")
        try:
            abstainer = Abstainer.load(file)
        except UQHarnessError:
            continue
        assert not isinstance(value, bool)
        below = math.nextafter(abstainer.threshold, -math.inf)
        assert abstainer.should_answer(below) == math.isfinite(abstainer.threshold)
        assert not abstainer.should_answer(abstainer.threshold)
        assert math.isnan(abstainer.error_probability(0.3)) == (not abstainer.curve)


@pytest.mark.parametrize(
    "contradiction",
    [
        {"answer": "all"},
        {"answer": "none"},
        {"answer": "all", "threshold": 0},
        {"answer": "below", "threshold": None},
    ],
    ids=str,
)
def test_a_policy_that_contradicts_itself_is_refused(contradiction: dict[str, object], tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({**GOOD, **contradiction}), encoding="utf-8")
    with pytest.raises(UQHarnessError, match="make the file with"):
        Abstainer.load(file)


@pytest.mark.parametrize(("answer", "given"), [("all", True), ("none", False)])
def test_all_and_none_need_no_threshold(answer: str, given: bool, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({**GOOD, "answer": answer, "threshold": None}), encoding="utf-8")
    assert Abstainer.load(file).should_answer(1e300) is given


@pytest.mark.parametrize("path", ["~nouser/x", "x" * 5000, "a\0b", "", ".", "nowhere.json"])
def test_paths_that_no_policy_has(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UQHarnessError):
        Abstainer.load(path)


def test_a_pipe_is_no_policy(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "policy.json")
    with pytest.raises(UQHarnessError, match="is not a file"):
        Abstainer.load(tmp_path / "policy.json")


PLACES_OF_SOURCE = (
    *("source", "source.model", "source.weights", "source.versions", "source.versions.lm_eval", "source.model_args"),
    *("source.model_args.max_length", "source.model_args.chat_template_args", "source.model_args.enable_thinking"),
    *("source.uncertainty", "source.uncertainty.nli", "source.uncertainty.entropy_samples", "source.settings"),
    *("source.settings.dtype", "source.settings.chat_template", "source.settings.seed", "source.prompts"),
    *("source.prompts.doc_to_text", "source.prompts.num_fewshot", "source.generation", "source.generation.until"),
    "source.generation.max_gen_toks",
)


@pytest.fixture(scope="module")
def model() -> UncertaintyModel:
    return UncertaintyModel.from_pretrained("demo", methods="degree", device="cpu", nli_model="lexical")


@pytest.mark.parametrize("place", PLACES_OF_SOURCE)
def test_a_model_is_checked_or_refused(place: str, model: UncertaintyModel) -> None:
    for value in VALUES:
        content: dict[str, Any] = json.loads(json.dumps({**GOOD, "method": "degree"}))
        *folders, name = place.split(".")
        inner = content
        for folder in folders:
            inner = inner.setdefault(folder, {})
        inner[name] = value
        with contextlib.suppress(UQHarnessError):
            Abstainer("degree", 0.5, 0.1, 0.05, details=content).check(model)


class TestScores:
    ABSTAINER = Abstainer("sar", threshold=0.5, target=0.1, delta=0.05, curve=((0.0, 0.1), (1.0, 0.9)))

    @pytest.mark.parametrize("score", [True, False, "0.1", [0.1]])
    def test_what_is_no_number_is_refused(self, score: object) -> None:
        for decide in (self.ABSTAINER.should_answer, self.ABSTAINER.error_probability):
            with pytest.raises(UQHarnessError, match=r"is no answer: .* a number or None"):
                decide(score)  # type: ignore[arg-type, operator]

    def test_a_whole_number_of_any_size_is_one(self) -> None:
        assert not self.ABSTAINER.should_answer(10**400)
        assert self.ABSTAINER.error_probability(10**400) == 0.9
        assert self.ABSTAINER.error_probability(-(10**400)) == 0.1
