"""Pictures are drawn of whatever was found, in both formats."""

from pathlib import Path

import numpy as np
import pytest

from tests.studies.ablation.made_up import evidence, sps
from uq_harness.studies.ablation.analysis import Choices, analyse
from uq_harness.studies.ablation.figures import draw


@pytest.mark.parametrize("kind", ["with SPS", "all right", "an answer without tokens"])
def test_pictures_are_drawn_and_tell_the_correlation(tmp_path: Path, kind: str) -> None:
    changes = {
        "all right": {"correct": np.ones(60)},
        "an answer without tokens": {"mean_entropy": np.array([np.nan, *np.ones(59)])},
    }.get(kind, {})
    files = draw(analyse(evidence(**changes), Choices(), sps() if kind == "with SPS" else None), tmp_path / "a")
    assert [file.name for file in files] == [
        "a_hybridgrad.png",
        "a_hybridgrad.svg",
        "a_hybridgrad.pdf",
        "a_states.png",
        "a_states.svg",
        "a_states.pdf",
    ]
    for file in files:
        head = file.read_bytes()[:400]
        assert {".png": b"\x89PNG", ".svg": b"<svg", ".pdf": b"%PDF"}[file.suffix] in head
    told = "independent, which they are not" in (tmp_path / "a_states.svg").read_text(encoding="utf-8")
    assert told == (kind == "with SPS")
