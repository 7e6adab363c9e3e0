"""Pictures are drawn of whatever was found, in every format."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.studies.ablation.made_up import evidence, sps
from uq_harness.studies.ablation.analysis import Ablation, Choices, analyse
from uq_harness.studies.ablation.figures import draw


@pytest.mark.parametrize("kind", ["with SPS", "all right", "an answer without tokens"])
def test_pictures_are_drawn_and_tell_the_correlation(tmp_path: Path, kind: str) -> None:
    changes = {
        "all right": {"correct": np.ones(60)},
        "an answer without tokens": {"mean_entropy": np.array([np.nan, *np.ones(59)])},
    }.get(kind, {})
    files = draw(analyse(evidence(**changes), Choices(), sps() if kind == "with SPS" else None), tmp_path / "a")
    names = ["entropies", "hybridgrad", "states", *["sps", "states_sps"] * (kind == "with SPS")]
    assert list(dict.fromkeys(file.stem for file in files)) == [f"a_{name}" for name in names]
    assert {file.suffix for file in files} == {".png", ".svg", ".pdf"}
    for file in files:
        head = file.read_bytes()[:400]
        assert {".png": b"\x89PNG", ".svg": b"<svg", ".pdf": b"%PDF"}[file.suffix] in head
    if kind == "with SPS":
        assert "independent, which they are not" in (tmp_path / "a_states_sps.svg").read_text(encoding="utf-8")


def test_dots_mark_what_cannot_be_told_from_the_best(tmp_path: Path) -> None:
    found = analyse(evidence(), Choices())
    near, areas = found.states.near_best(), found.states.auroc
    best = np.unravel_index(areas.argmax(), areas.shape)
    assert near[best]
    assert areas[near].min() >= areas[best] - found.states.stderr[best] > areas[~near].max()
    assert "within one standard error of the best" in _text(found, tmp_path, "states")
    undefined = _text(analyse(evidence(correct=np.ones(60)), Choices()), tmp_path, "states")
    assert "within one standard error" not in undefined
    assert "AUROC of SemGrad at one state, % (undefined)" in undefined


def test_auroc_and_accuracy_are_percent_in_every_picture(tmp_path: Path) -> None:
    found = analyse(evidence(), Choices(), sps())
    states = _text(found, tmp_path, "states")
    assert "AUROC of SemGrad at one state, %" in states
    assert {f"{100 * auroc:.1f}" for auroc in found.states.auroc.flat} <= _texts(states)
    for name in ("hybridgrad", "states_sps"):
        text = _text(found, tmp_path, name)
        assert "AUROC, %" in _texts(text)
        ticks = [float(one) for one in _texts(text) if re.fullmatch(r"[\d.]+", one)]
        assert 50 < max(ticks) <= 100
    for name in ("entropies", "hybridgrad", "states", "sps", "states_sps"):
        assert "60 answers, accuracy 66.7 % (exact_match)" in " ".join(_text(found, tmp_path, name).split())


def test_a_row_a_token_and_a_frame_round_the_default(tmp_path: Path) -> None:
    found = analyse(evidence(), Choices(), sps())
    for name in ("states", "sps"):
        text = _text(found, tmp_path, name)
        assert {"−5 ·", "−2 &lt;|im_start|&gt;"} <= _texts(text)
        assert "SemGrad's default" in text
    several = analyse(evidence(semantic_token=np.repeat([-2, -3], 30)), Choices())
    assert "SemGrad's default" not in _text(several, tmp_path, "states")


def _text(found: Ablation, folder: Path, name: str) -> str:
    if not (folder / str(id(found))).is_dir():
        (folder / str(id(found))).mkdir()
        draw(found, folder / str(id(found)) / "a")
    return (folder / str(id(found)) / f"a_{name}.svg").read_text(encoding="utf-8")


def _texts(svg: str) -> set[str]:
    """The texts of a picture, which matplotlib writes into comments."""
    return {" ".join(found.split()) for found in re.findall(r"<!-- (.*?) -->", svg, re.DOTALL)}
