"""Model names that are folders, or repositories on the Hub."""

from pathlib import Path

import pytest

from uq_harness.hub import brief, local_folder


def test_a_folder_is_a_path_and_another_name_the_hubs(tmp_path: Path) -> None:
    assert local_folder(str(tmp_path)) == str(tmp_path)
    assert local_folder("somebody/something") is None


@pytest.mark.parametrize("name", ["/no/such/folder", "./nowhere", "~/nowhere-at-all"])
def test_a_name_that_can_only_be_a_path_must_exist(name: str) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        local_folder(name)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.bin").touch()
    with pytest.raises(FileNotFoundError):
        local_folder(str(tmp_path / "model.bin"))


def test_reasons_are_one_short_line() -> None:
    assert brief(ValueError("first\n second.")) == "first second"
    assert brief(KeyError()) == "KeyError"
    assert len(brief("word " * 200)) <= 240
