"""docs/scoring_saved_answers.md: its commands run on its file as they stand there."""

from uq_harness.results.load import load_runs


def test_its_commands_run_on_its_file(read) -> None:
    page = read("docs/scoring_saved_answers.md")
    assert "answers, answers: 2 answers" in page.output
    assert "g_nll" in page.output
    (run,) = load_runs(page.folder / "rejudged")
    assert run.judge == "f1"
    of_texts = {"degree", "discrete_semantic_entropy", "dissimilarity", "self_consistency"}
    assert set(run.uncertainty) == {"g_nll", "cocoa_msp", "cocoa_ppl", *of_texts}
