"""docs/scoring_saved_answers.md: its commands run on its file as they stand there."""

from pathlib import Path

from tests.docs.blocks import blocks, shell
from uq_harness.results import load_runs


def test_its_commands_run_on_its_file(tmp_path: Path) -> None:
    (lines,) = blocks("scoring_saved_answers.md", "json")
    (tmp_path / "answers.jsonl").write_text(lines, encoding="utf-8")
    first, again = blocks("scoring_saved_answers.md", "bash")
    output = shell(first, tmp_path)
    assert "answers, answers: 2 answers" in output
    assert "g_nll" in output
    shell(again, tmp_path)
    (run,) = load_runs(tmp_path / "rejudged")
    assert run.judge == "f1"
    assert set(run.uncertainty) == {"g_nll", "degree", "discrete_semantic_entropy", "self_consistency"}
