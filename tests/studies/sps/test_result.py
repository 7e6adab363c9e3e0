"""The recommended token, and the result file that others read."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uq_harness.answering.identity import ModelIdentity
from uq_harness.errors import UQHarnessError
from uq_harness.studies.paraphrase.file import Dropped
from uq_harness.studies.sps.prompts import Position
from uq_harness.studies.sps.result import DataSetSps, SpsResult

MODEL = ModelIdentity("some/model", "torch.float32", "0123", "4567")
POSITIONS = [Position(-3, "?", 0.9), Position(-2, "<|im_start|>", 1.0), Position(-1, "\n", 1.0)]


def data_set(name: str, scores: list[list[float]]) -> DataSetSps:
    within = np.array(scores)
    return DataSetSps(name, f"{name}.jsonl", "uq_demo", True, 9, 40, Dropped(duplicates=2), 0.5, within, within * 0)


def build(*data_sets: DataSetSps, layers: tuple[int, ...] = (0, 1, 2, 3, 4), **kwargs: object) -> SpsResult:
    settings = {
        "through_template": True,
        "template_choice": -2,
        "candidates": 3,
        "max_paraphrases": 5,
        "example": "Why?",
        **kwargs,
    }
    return SpsResult.of(MODEL, blocks=4, layers=layers, positions=POSITIONS, data_sets=data_sets, **settings)


FIRST = data_set("first", [[9, 0, 0], [9, 0, 0], [0.1, 0.6, 0.2], [0.1, 0.4, 0.6], [9, 0, 0]])
SECOND = data_set("second", [[0, 0, 0], [0, 0, 0], [0.1, 0.1, 0.9], [0.1, 0.2, 0.9], [0, 0, 0]])


def test_recommends_the_best_mean_over_semgrads_layers_averaged_over_data_sets() -> None:
    assert build(FIRST).recommended.position == -2
    both = build(FIRST, SECOND)
    assert both.recommended.position == -1
    assert both.recommended.text == "\n"
    assert both.recommended.sps == pytest.approx((0.4 + 0.9) / 2)
    assert both.template_choice.position == -2
    assert both.template_choice.sps == pytest.approx((0.5 + 0.15) / 2)


def test_undefined_positions_are_never_recommended() -> None:
    scores = np.array(SECOND.within)
    scores[2, -1] = np.nan
    assert build(replace(SECOND, within=scores)).recommended.position == -2
    nothing = build(replace(SECOND, within=np.full((5, 3), np.nan)))
    assert nothing.recommended is None
    assert "undefined at every position" in nothing.no_recommendation


def test_a_position_inside_the_question_is_never_recommended() -> None:
    """It has not seen the question's end; that wordings agree there is a matter of shared words."""
    inside = data_set("first", [[9, 0, 0], [9, 0, 0], [0.9, 0.6, 0.2], [0.9, 0.4, 0.6], [9, 0, 0]])
    assert build(inside).recommended.position == -3
    assert build(inside, candidates=2).recommended.position == -2
    assert build(inside, candidates=1).recommended.position == -1
    only = np.array(inside.within)
    only[2, 1:] = np.nan
    nothing = build(replace(inside, within=only), candidates=2)
    assert nothing.recommended is None
    assert "has seen the whole question" in nothing.no_recommendation


def test_the_embeddings_score_stands_beside() -> None:
    assert build(FIRST).embedding_scores.tolist() == [9, 0, 0]
    assert build(data_set("first", [[1, 2, 3], [1, 2, 3]]), layers=(2, 3)).embedding_scores is None


def test_no_recommendation_without_all_of_semgrads_layers() -> None:
    part = build(data_set("first", [[1, 2, 3], [1, 2, 3]]), layers=(0, 3))
    assert part.recommended is None
    assert part.no_recommendation == "SemGrad's layers, 2 to 3, were not all measured"


def test_a_template_choice_beyond_the_measured_positions_has_no_score() -> None:
    choice = build(FIRST, template_choice=-7).template_choice
    assert (choice.position, choice.text, choice.sps) == (-7, None, None)


def test_prompts_without_template_leave_the_template_out_of_the_identity() -> None:
    assert build(FIRST, through_template=False).model == replace(MODEL, template=None)


def test_the_result_file_gives_back_what_was_written(tmp_path: Path) -> None:
    undefined = np.array(SECOND.within)
    undefined[0, 0] = np.nan
    written = build(FIRST, replace(SECOND, within=undefined))
    read = SpsResult.read(written.write(tmp_path / "new" / "folder"))
    for one, other in zip(read.data_sets, written.data_sets, strict=True):
        np.testing.assert_array_equal(one.within, other.within)
        np.testing.assert_array_equal(one.between, other.between)
        assert one.dropped == other.dropped
    assert json.dumps(read.to_json()) == json.dumps(written.to_json())


def test_the_result_file_has_scores_by_data_set_layer_and_position(tmp_path: Path) -> None:
    content = json.loads(build(FIRST, SECOND).write(tmp_path).read_text(encoding="utf-8"))
    assert content["data_sets"]["first"]["sps"][3][-1] == 0.6
    assert content["average"]["sps"][3][-1] == pytest.approx(0.75)
    assert content["layers"][3] == 3
    assert content["positions"][-1] == {"position": -1, "text": "\n", "share": 1.0}
    assert content["semgrad_layers"] == [2, 3]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"results": {}}',
        '{"uq_harness_sps": 99}',
        '{"uq_harness_sps": true}',
        '{"uq_harness_sps": 2.0}',
        "[" * 200_000,
        '{"uq_harness_sps": NaN}',
        '{"uq_harness_sps": ' + "9" * 5000 + "}",
    ],
    ids=range(10),
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "sps.json").write_text(text)
    with pytest.raises(UQHarnessError, match=r"SPS file .*sps\.json' (cannot be read|is none that)"):
        SpsResult.read(tmp_path / "sps.json")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.pop("data_sets"),
        lambda content: content.update(model="a/model"),
        lambda content: content["positions"][0].pop("text"),
        lambda content: content["positions"].pop(),
        lambda content: content["data_sets"]["first"]["within"].pop(),
        lambda content: content["data_sets"].clear(),
        lambda content: content["model"].update(blocks=None),
        lambda content: content["model"].update(blocks=True),
        lambda content: content["model"].update(weights=7),
        lambda content: content["data_sets"]["first"].update(within=None),
        lambda content: content["data_sets"]["first"]["within"][0].__setitem__(0, True),
        lambda content: content["data_sets"]["first"]["within"][0].__setitem__(0, "0.5"),
        lambda content: content["data_sets"]["first"].update(questions=-1),
        lambda content: content["data_sets"]["first"].update(checked="yes"),
        lambda content: content["data_sets"]["first"]["dropped"].update(blank=None),
        lambda content: content["recommended"].update(position=-2.7),
        lambda content: content["recommended"].update(position=3),
        lambda content: content["positions"][0].update(position=-2.7),
        lambda content: content["positions"][0].update(text=None),
        lambda content: content["layers"].__setitem__(0, 7),
        lambda content: content.update(candidates=0),
        lambda content: content.update(example=None),
        lambda content: content.update(version=["0"]),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, damage: Callable[[dict[str, Any]], object]) -> None:
    file = build(FIRST, SECOND).write(tmp_path)
    content = json.loads(file.read_text(encoding="utf-8"))
    damage(content)
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UQHarnessError, match=r"SPS file .*sps\.json' is damaged .*run `uq-harness sps` again"):
        SpsResult.read(file)


@pytest.mark.parametrize(("old", "new"), [('"text": "?"', '"text": NaN'), ('"seconds": 0.5', '"seconds": 1e999')])
def test_numbers_that_json_has_not_are_refused(tmp_path: Path, old: str, new: str) -> None:
    file = build(FIRST).write(tmp_path)
    file.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(UQHarnessError, match=r"SPS file .*sps\.json' (cannot be read|is damaged)"):
        SpsResult.read(file)
