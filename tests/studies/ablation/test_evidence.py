"""Evidence survives its file, and files that are none are refused."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from tests.studies.ablation.made_up import evidence
from uq_harness.errors import UQHarnessError
from uq_harness.studies.ablation.evidence import AblationEvidence


def test_reading_gives_back_what_was_written(tmp_path: Path) -> None:
    written = evidence(mean_entropy=np.array([np.nan, *np.ones(59)]))
    read = AblationEvidence.read(written.write(tmp_path))
    for field in fields(AblationEvidence):
        ours, theirs = getattr(read, field.name), getattr(written, field.name)
        if field.name == "methods":
            assert ours.keys() == theirs.keys()
            assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
        elif isinstance(ours, np.ndarray):
            np.testing.assert_array_equal(ours, theirs)
        else:
            assert ours == theirs


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match=r"evidence file '.*a.npz' does not exist"):
        AblationEvidence.read(tmp_path / "a.npz")


@pytest.mark.parametrize("kind", ["text", "other arrays", "cut short"])
def test_a_file_of_another_kind(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "a.npz"
    if kind == "text":
        file.write_text("question,answer")
    elif kind == "other arrays":
        np.savez(file, weights=np.ones(3))
    else:
        file = evidence().write(tmp_path)
        file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(UQHarnessError, match=r"damaged, or was not written by .* run the ablation again"):
        AblationEvidence.read(file)


@pytest.mark.parametrize("position", [0, -6])
def test_a_position_that_is_not_covered(position: int) -> None:
    with pytest.raises(UQHarnessError, match=rf"last 5 tokens, and position {position} is not one"):
        evidence().column(position)
