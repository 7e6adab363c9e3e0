"""Pictures are drawn of whatever was found, in both formats."""

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
    assert "dots: within one standard error of the best" in _text(found, tmp_path)
    assert "dots:" not in _text(analyse(evidence(correct=np.ones(60)), Choices()), tmp_path)


def _text(found: Ablation, folder: Path) -> str:
    draw(found, folder / "a")
    return (folder / "a_states.svg").read_text(encoding="utf-8")
