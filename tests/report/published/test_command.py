"""``uq-harness reference``."""

import json
from pathlib import Path

import pytest

from uq_harness.cli.reference import reference
from uq_harness.errors import UQHarnessError


def test_a_table_is_printed_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    reference(3, None, as_json=False)
    output = capsys.readouterr().out
    assert "0.2506" in output
    assert "arXiv 2605.04638" in output


def test_tables_and_configurations_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    reference(None, None, as_json=True)
    described = json.loads(capsys.readouterr().out)
    assert [table["table"] for table in described["tables"]] == [1, 2, 3, 4, 5]
    assert len(described["configurations"]) == 6


def test_configurations_are_copied_and_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference(None, tmp_path / "mine", as_json=False)
    assert "paper_qwen3_4b.yaml" in capsys.readouterr().out
    assert (tmp_path / "mine" / "paper_qwen3_4b.yaml").read_text(encoding="utf-8").startswith("# The paper's run")
    with pytest.raises(UQHarnessError, match="exists already"):
        reference(None, tmp_path / "mine", as_json=False)


@pytest.mark.parametrize("width", [60, 200])
def test_no_digit_is_cut_whatever_the_terminals_width(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    reference(1, None, as_json=False)
    output = capsys.readouterr().out
    assert "…" not in output
    for value in (67.08, 80.0, 69.25, 76.59):
        assert f"{value:g}" in output
