"""Tables and JSON say what was found, and what is undefined."""

import json
import logging
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.studies.ablation.made_up import evidence, positions, sps
from uq_harness.errors import UQHarnessError
from uq_harness.studies.ablation import layout
from uq_harness.studies.ablation.analysis import Choices, analyse
from uq_harness.studies.ablation.comparison import Quality, semgrad_variants


def row(markdown: str, label: str) -> list[str]:
    line = next(line for line in markdown.splitlines() if line.startswith(f"| {label}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_markdown_has_a_column_a_run_and_a_row_a_variant() -> None:
    first, second = (analyse(evidence(seed=seed, task=task), Choices()) for seed, task in [(0, "uq_a"), (1, "uq_b")])
    markdown = layout.to_markdown([first, second])
    assert row(markdown, "variant")[1:] == ["made-up / uq_a", "made-up / uq_b"]
    default = row(markdown, "SemGrad (default)")
    assert default[1] == f"{100 * first.semgrad[0].quality.auroc:.1f} ± {100 * first.semgrad[0].quality.stderr:.1f}"
    assert row(markdown, "l2 norm")[1].endswith(f"({layout.p_value(first.semgrad[1].p_holm)})")


def test_readers_get_percent_and_machines_shares() -> None:
    found = analyse(evidence(), Choices())
    markdown = layout.to_markdown([found])
    assert "60 answers, accuracy 66.7 % (exact_match)" in markdown
    assert "AUROC ± DeLong's standard error, in percent" in markdown
    values = [float(one) for one in re.findall(r"([\d.]+) ± ", markdown)]
    assert min(values) > 20
    assert max(values) <= 100
    best = found.states.auroc.max()
    assert f": {100 * best:.1f} ± " in layout.best_states(found)[0]
    written = layout.to_json([found])["ablations"][0]
    assert written["accuracy"] == pytest.approx(2 / 3)
    assert written["semgrad"][0]["auroc"] == pytest.approx(found.semgrad[0].quality.auroc)
    assert np.max(written["states"]["auroc"]) == best


def test_a_column_of_small_errors_has_a_second_decimal() -> None:
    found = analyse(evidence(), Choices())
    sure = {"paragrad": Quality(0.98765, 0.004, 0), "semgrad": Quality(0.9, 0.01, 0)}
    rows = dict(layout.method_rows([found, replace(found, methods=sure)]))
    assert rows["paragrad"] == [layout.number(found.methods["paragrad"], 1), "98.77 ± 0.40"]
    assert rows["semgrad"][1] == "90.00 ± 1.00"
    assert layout.short_cell(replace(found.hybridgrad[0], quality=sure["paragrad"]), 2) == "98.77"


def test_judges_are_named_where_there_are_several() -> None:
    found = [analyse(evidence(judge=judge), Choices()) for judge in ("bem", "f1")]
    assert layout.columns(found) == ["made-up / uq_demo,bem", "made-up / uq_demo,f1"]
    assert layout.columns(found[:1]) == ["made-up / uq_demo"]


def test_models_of_different_depth_and_reach_share_a_table() -> None:
    wide = evidence()
    narrow = evidence(absolute=wide.absolute[..., 1:], squared=wide.squared[..., 1:], positions=positions()[1:])
    rows = dict(layout.token_rows([analyse(wide, Choices()), analyse(narrow, Choices())]))
    assert rows["token -5  ·"][1] == ""
    assert rows["token -2  <|im_start|>"][0] != ""


def test_tokens_do_not_break_a_markdown_table() -> None:
    line = layout._table(["a"], [("token <|im_start|>", ["x"])])[-1]
    assert line == "| token &#60;&#124;im_start&#124;&#62; | x |"


def test_json_holds_everything_and_no_nan() -> None:
    found = analyse(evidence(), Choices(), sps())
    content = json.loads(json.dumps(layout.to_json([found]), allow_nan=False))["ablations"][0]
    assert content["semgrad"][1]["options"] == {"semgrad_norm": "l2"}
    assert content["semgrad"][2]["options"] == {"semgrad_reweight": "false"}
    assert content["semgrad"][0]["against_default"] is None
    assert content["semgrad"][1]["against_default"]["p_value"] <= content["semgrad"][1]["p_holm"]
    assert np.array(content["states"]["auroc"]).shape == (4, 5)
    assert content["preservation"]["rho"] == pytest.approx(found.preservation.rho)
    assert "not independent" in content["preservation"]["caution"]


@pytest.mark.parametrize(("value", "word"), [(1, "right"), (0, "wrong")])
def test_answers_that_are_all_alike_leave_everything_undefined(
    caplog: pytest.LogCaptureFixture, value: int, word: str
) -> None:
    with caplog.at_level(logging.WARNING):
        found = analyse(evidence(correct=np.full(60, float(value))), Choices(), sps())
    assert f"all 60 answers are {word}, so no AUROC is defined" in caplog.text
    markdown = layout.to_markdown([found])
    assert row(markdown, "SemGrad (default)")[1] == row(markdown, "l2 norm")[1] == "undefined"
    content = json.loads(json.dumps(layout.to_json([found]), allow_nan=False))["ablations"][0]
    assert content["semgrad"][0]["auroc"] is None
    assert content["preservation"] is None


def test_too_few_right_answers_mark_every_number_and_leave_no_best_state_and_no_correlation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    few = analyse(evidence(correct=(np.arange(60) < 9).astype(float)), Choices(), sps())
    many = analyse(evidence(correct=(np.arange(60) < 10).astype(float)), Choices(), sps())
    assert caplog.text.count("uq_demo,exact_match: only 9 right answers of 60") == 1
    assert layout.best_states(few) == []
    assert few.preservation is None
    assert len(layout.best_states(many)) == 3
    assert many.preservation is not None
    markdown = layout.to_markdown([few])
    assert row(markdown, "SemGrad (default)")[1].endswith("‡")
    assert row(markdown, "paragrad")[1].endswith("‡")
    assert "none is named: only 9 right answers" in markdown
    assert "‡ fewer than 10 right or wrong answers" in markdown
    assert "‡" not in layout.to_markdown([many])
    assert layout.to_json([few])["ablations"][0]["too_few"] == "only 9 right answers"


def test_the_correlation_is_told_with_both_intervals_and_the_caution() -> None:
    markdown = layout.to_markdown([analyse(evidence(), Choices(), sps())])
    assert "Spearman's ρ between a state's AUROC and its Semantic Preservation Score (demo)" in markdown
    assert "by bootstrap over token positions" in markdown
    assert "States are not independent" in markdown


def test_answers_without_a_verdict_are_left_out_and_counted() -> None:
    correct = evidence().correct
    found = analyse(evidence(correct=np.where(np.arange(60) < 5, np.nan, correct)), Choices())
    part = evidence().judged()
    assert len(found.evidence.correct) == 55
    assert found.semgrad[0].quality.auroc == pytest.approx(
        Quality.of(semgrad_variants()[0].score(part)[5:], correct[5:]).auroc
    )
    assert "55 answers" in layout.to_markdown([found])
    assert "5 more without a verdict are left out" in layout.to_markdown([found])
    assert layout.to_json([found])["ablations"][0]["without_verdict"] == 5


def test_no_verdict_at_all() -> None:
    with pytest.raises(UQHarnessError, match="no verdict on any answer, so nothing can be compared"):
        analyse(evidence(correct=np.full(60, np.nan)), Choices())
