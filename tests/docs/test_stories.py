"""docs/stories/: what a reader has after running a page's commands."""

import doctest
import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks


def test_a_researcher_has_a_table_with_a_score_of_their_own(read) -> None:
    folder = read("docs/stories/researcher.md").folder
    assert len((folder / "with_mine.jsonl").read_text(encoding="utf-8").splitlines()) == 160
    tables = (folder / "report" / "report.md").read_text(encoding="utf-8")
    rows = [line for line in tables.splitlines() if line.startswith("| unevenness")]
    assert rows
    assert "±" in rows[0]
    latex = (folder / "report" / "tables" / "auroc.tex").read_text(encoding="utf-8")
    assert "unevenness" in latex


def test_a_researcher_has_the_files_that_the_paper_reads(read) -> None:
    paper = read("docs/stories/researcher.md").folder / "paper"
    (block,) = blocks("docs/stories/researcher.md", "latex")
    table, figure = (paper.parent / name for name in re.findall(r"\{(paper/.*?)\}", block.text))
    rows = re.findall(r"^{}(.*?) & ", table.with_suffix(".tex").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == ["SemGrad", "G{-}NLL", "unevenness"]
    assert figure.read_bytes().startswith(b"%PDF")


def test_an_engineer_has_a_verdict_a_shut_gate_and_a_rule(read) -> None:
    story = read("docs/stories/engineer.md")
    assert "No regression" in story.output
    assert "The gate is shut: status 1" in story.output
    assert (story.folder / "comparison.xml").is_file()
    assert (story.folder / "policy" / "threshold.json").is_file()
    assert (story.folder / "board" / "leaderboard.html").is_file()


def test_a_developer_has_a_program_that_abstains(read, monkeypatch: pytest.MonkeyPatch) -> None:
    story = read("docs/stories/application.md")
    assert "39.3% of all answers are wrong" in story.output
    assert "Answered: 113 of 252 questions, 44.8%" in story.output
    assert shows_what_it_says("docs/stories/application.md", story.folder, monkeypatch) > 8


def test_a_user_of_any_machine_has_a_run_and_tables(read, monkeypatch: pytest.MonkeyPatch) -> None:
    story = read("docs/stories/elsewhere.md")
    assert story.terminal.read == []
    assert "Everything that is needed works." in story.output
    assert list((story.folder / "first").rglob("samples_uq_demo_*.jsonl"))
    assert shows_what_it_says("docs/stories/elsewhere.md", story.folder, monkeypatch) > 8
    assert (story.folder / "tables" / "scores.parquet").is_file()


def shows_what_it_says(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Runs a page's Python in the folder of its commands; the number of examples."""
    monkeypatch.chdir(folder)
    found = doctest.testfile(str(ROOT / page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0
    return found.attempted
