"""The heat maps: one a data set in every format, with the tokens on their axis."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from uq_harness.studies.sps.heat_map import colour_range, draw_heat_maps, heat_map, token_label
from uq_harness.studies.sps.result import SpsResult


def test_a_picture_for_each_data_set_in_every_format(result: SpsResult, tmp_path: Path) -> None:
    files = draw_heat_maps(result, tmp_path)
    assert [file.name for file in files] == [
        f"sps_{name}.{kind}" for name in ("first", "second") for kind in ("png", "svg", "pdf")
    ]
    assert all(file.stat().st_size > 5000 for file in files)
    assert "<!-- first: 7 questions" in re.sub(r"\s+", " ", files[1].read_text(encoding="utf-8"))


def test_shows_the_scores_with_the_first_layer_below_and_the_last_token_right(result: SpsResult) -> None:
    axes = heat_map(result, result.data_sets[0]).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), result.data_sets[0].sps)
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[-1] == r"\n  -1"
    assert "<|im_start|>" in labels[len(labels) + result.template_choice.position]
    assert labels[0].startswith("·")
    bottom, top = axes.get_ylim()
    assert bottom < top


def test_colours_follow_the_candidates_and_not_the_words_inside_the_question(result: SpsResult) -> None:
    one = result.data_sets[0]
    inside = np.zeros_like(one.within)
    inside[:, : -result.candidates] = 5
    one = replace(one, within=one.within + inside)
    scores = one.sps[:, -result.candidates :]
    assert heat_map(result, one).axes[0].images[0].get_clim() == (scores.min(), scores.max())
    assert one.sps.max() > scores.max()
    nothing = replace(one, within=np.full_like(one.within, np.nan))
    assert colour_range(result, nothing) == (None, None)


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
