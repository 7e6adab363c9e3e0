"""The heat maps: one a data set in every format, with a row a token."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from uq_harness.studies.sps.heat_map import colour_range, draw_heat_maps, heat_map, show_score
from uq_harness.studies.sps.result import DataSetSps, SpsResult
from uq_harness.studies.state_map import DrawnMap, token_label


def test_a_picture_for_each_data_set_in_every_format(result: SpsResult, tmp_path: Path) -> None:
    files = draw_heat_maps(result, tmp_path)
    assert [file.name for file in files] == [
        f"sps_{name}.{kind}" for name in ("first", "second") for kind in ("png", "svg", "pdf")
    ]
    assert all(file.stat().st_size > 5000 for file in files)
    assert "<!-- demo (float32): first, 7 questions" in re.sub(r"\s+", " ", files[1].read_text(encoding="utf-8"))


def test_a_data_set_called_as_the_model_is_named_once(result: SpsResult) -> None:
    title = heat_map(result, replace(result.data_sets[0], name="demo")).figure.get_suptitle()
    assert title.count("demo") == 1
    assert title.startswith("demo (float32): 7 questions")


def test_a_row_a_token_and_a_column_a_layer_with_the_last_token_below(result: SpsResult) -> None:
    axes = heat_map(result, result.data_sets[0]).axes
    np.testing.assert_array_equal(axes.images[0].get_array(), result.data_sets[0].sps.T)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[-1] == r" −1 \n"
    assert labels[result.template_choice.position] == " −3 <|im_start|>"
    assert labels[0].endswith(" ·")
    assert all(label.get_rotation() == 0 for label in axes.get_yticklabels())
    assert [label.get_text() for label in axes.get_xticklabels()] == [str(layer) for layer in result.layers]
    bottom, top = axes.get_ylim()
    assert bottom > top
    left, right = axes.get_xlim()
    assert left < right


def test_cells_show_their_scores_where_there_is_room(result: SpsResult) -> None:
    one = result.data_sets[0]
    drawn = heat_map(result, one)
    assert drawn.numbers
    shown = {tuple(map(int, text.get_position())): text.get_text() for text in drawn.axes.texts}
    assert shown == {place: show_score(score) for place, score in np.ndenumerate(one.sps)}
    many = _states(result, np.tile(one.within, (8, 1)), np.tile(one.between, (8, 1)))
    assert not many.numbers
    assert not many.axes.texts


def _states(result: SpsResult, within: np.ndarray, between: np.ndarray) -> DrawnMap:
    more = replace(result, layers=range(len(within)))
    return heat_map(more, replace(result.data_sets[0], within=within, between=between))


def test_frames_hold_semgrads_layers_of_both_choices(result: SpsResult) -> None:
    drawn = heat_map(result, result.data_sets[0])
    first, last = (result.layers.index(result.semgrad_layers[end]) for end in (0, -1))
    frames = [(one.get_x(), one.get_y(), one.get_width()) for one in drawn.axes.patches]
    chosen = [result.template_choice, result.recommended]
    rows = [len(result.positions) + one.position for one in chosen if one is not None]
    assert frames == [(first - 0.5, row - 0.5, last - first + 1) for row in rows]


def test_colours_follow_the_candidates_and_not_the_words_inside_the_question(result: SpsResult) -> None:
    one = result.data_sets[0]
    inside = np.zeros_like(one.within)
    inside[:, : -result.candidates] = 5
    one = replace(one, within=one.within + inside)
    scores = one.sps[:, -result.candidates :]
    assert heat_map(result, one).axes.images[0].get_clim() == (scores.min(), scores.max())
    assert one.sps.max() > scores.max()
    nothing = replace(one, within=np.full_like(one.within, np.nan))
    assert colour_range(result, nothing) is None


@pytest.mark.parametrize(("lowest", "signed"), [(-0.2, True), (-0.006, True), (-0.004, False), (0.0, False)])
def test_white_is_zero_only_where_scores_are_shown_on_both_sides_of_it(
    result: SpsResult, lowest: float, signed: bool
) -> None:
    one = result.data_sets[0]
    scores = np.full_like(one.within, 0.8)
    scores[0, -1] = lowest
    image = heat_map(result, _with(one, scores)).axes.images[0]
    assert image.get_clim() == pytest.approx((lowest, 0.8))
    red, _, blue, _ = image.to_rgba(lowest)
    assert (red > blue) == signed
    if signed:
        np.testing.assert_allclose(image.to_rgba(0.0)[:3], 0.97, atol=0.02)
        opposite = image.to_rgba(-lowest)
        assert min(image.to_rgba(lowest)[:3]) == pytest.approx(min(opposite[:3]), abs=0.25)


def _with(one: DataSetSps, scores: np.ndarray) -> DataSetSps:
    return replace(one, within=scores, between=np.zeros_like(scores))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("\n", r"\n"),
        (" the", "␣the"),
        ("  ", "␣␣"),
        ("a ", "a␣"),
        ("", "∅"),
        ("\ufffd", "\ufffd"),
        ("\t\x00", r"\t\x00"),
    ],
)
def test_tokens_are_made_visible(text: str, label: str) -> None:
    assert token_label(text) == label
