"""Paths that users write."""

from collections.abc import Callable
from pathlib import Path

import pytest

from uq_harness import Abstainer
from uq_harness.backends.saved.read import read_saved
from uq_harness.errors import UQHarnessError
from uq_harness.files import read_json_lines, user_path
from uq_harness.results.load import load_runs
from uq_harness.studies.ablation.evidence import AblationEvidence
from uq_harness.studies.paraphrase.file import read_paraphrases
from uq_harness.studies.paraphrase.questions import questions_of_file


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


@pytest.mark.parametrize("path", ["~no-such-user/x", "a" * 5000, "a\0b"], ids=["user", "long", "NUL"])
@pytest.mark.parametrize(
    "read",
    [
        lambda path: read_json_lines(path, "data file", "a line"),
        load_runs,
        read_saved,
        Abstainer.load,
        AblationEvidence.read,
        read_paraphrases,
        questions_of_file,
    ],
    ids=["lines", "results", "saved", "policy", "evidence", "paraphrases", "questions"],
)
def test_every_reader_refuses_them(read: Callable[[str], object], path: str) -> None:
    with pytest.raises(UQHarnessError):
        read(path)
