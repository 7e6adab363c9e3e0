"""docs/scoring_saved_answers.md: its commands run on its file as they stand there."""

import re

import pytest

from tests.docs.blocks import text_of
from uq_harness.results.load import load_runs


def test_its_commands_run_on_its_file(read) -> None:
    page = read("docs/scoring_saved_answers.md")
    assert "answers, answers: 2 answers" in page.output
    assert "g_nll" in page.output
    (run,) = load_runs(page.folder / "rejudged")
    assert run.judge == "f1"
    assert set(run.uncertainty) >= {"g_nll", "degree", "discrete_semantic_entropy", "self_consistency"}


def test_the_scores_of_its_likeliest_tokens_are_those_it_tells(read) -> None:
    page = read("docs/scoring_saved_answers.md")
    (run,) = load_runs(page.folder / "listed")
    text = text_of("docs/scoring_saved_answers.md")
    told = re.search(r"is ([\d.]+) of the first answer and ([\d.]+) of the second", text)
    assert told is not None
    expected = [float(one) for one in told.groups()]
    assert run.uncertainty["claim_conditioned_probability"] == pytest.approx(expected, abs=5e-4)
    assert {"probability_margin", "top_k_entropy"} <= set(run.uncertainty)
