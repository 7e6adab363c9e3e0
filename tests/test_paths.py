"""Paths that users write."""

from pathlib import Path

import pytest

from uq_harness.errors import UQHarnessError
from uq_harness.paths import user_path


def test_the_home_folder_is_filled_in_and_nothing_else_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert user_path("~/data.jsonl", "data file") == Path("/home/somebody/data.jsonl")
    assert user_path("a/../b.jsonl", "data file") == Path("a/../b.jsonl")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("~no-such-user/data.jsonl", "no such user's home folder: write the whole path"),
        ("a" * 400, "has 400 characters, too many for a path"),
        ("a/" * 2500, "has 5000 characters, too many for a path"),
        ("data\0.jsonl", "holds a NUL character"),
    ],
)
def test_what_no_file_system_can_hold_is_refused_briefly(path: str, message: str) -> None:
    with pytest.raises(UQHarnessError, match=f"^data file '.*' *.*{message}") as refusal:
        user_path(path, "data file")
    assert len(str(refusal.value)) < 250
