"""docs/stories/: what a reader has after running a page's commands."""


def test_a_researcher_has_a_table_with_a_score_of_their_own(read) -> None:
    folder = read("docs/stories/researcher.md").folder
    assert len((folder / "with_mine.jsonl").read_text(encoding="utf-8").splitlines()) == 160
    tables = (folder / "report" / "report.md").read_text(encoding="utf-8")
    rows = [line for line in tables.splitlines() if line.startswith("| unevenness")]
    assert rows
    assert "±" in rows[0]
    latex = (folder / "report" / "report.tex").read_text(encoding="utf-8")
    assert "unevenness" in latex


def test_an_engineer_has_a_verdict_a_shut_gate_and_a_rule(read) -> None:
    story = read("docs/stories/engineer.md")
    assert "No regression" in story.output
    assert "The gate is shut: status 1" in story.output
    assert (story.folder / "comparison.xml").is_file()
    assert (story.folder / "policy" / "threshold.json").is_file()
    assert (story.folder / "board" / "leaderboard.html").is_file()
