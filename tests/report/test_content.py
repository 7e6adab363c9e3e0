"""Layout of the tables, labels of runs, and what a reader is told."""

import math
from pathlib import Path

import numpy as np
import pytest

from tests.report.runs import made_up, write_run
from uq_harness.evidence import PairwiseSimilarity, Samples, TokenRelevance
from uq_harness.evidence.cost import name_of
from uq_harness.methods import all_methods
from uq_harness.report.content import Report, collect
from uq_harness.report.csv import write_numbers
from uq_harness.report.figures import run_figures
from uq_harness.report.latex import table_as_latex
from uq_harness.report.markdown import table_as_markdown
from uq_harness.report.page import write_page
from uq_harness.report.write import read_with_warnings


def content_of(folder: Path, **settings: object) -> Report:
    runs, warnings = read_with_warnings([folder])
    defaults = {
        "title": "Test",
        "reference": False,
        "all_runs": False,
        "examples": 5,
        "examples_by": None,
        "alpha": 0.05,
        "warnings": warnings,
    }
    return collect(runs, **{**defaults, **settings})


def cells(content: Report, table: str, row: str) -> list[float]:
    found = next(one for _, one in content.all_tables() if one.name == table)
    return [cell.value for cell in next(r for r in found.rows if r.name == row).cells]


def test_methods_stand_down_a_mean_of_each_model_first_and_the_tasks_across(tmp_path: Path) -> None:
    for model in ("org/b", "org/a"):
        for task in ("uq_truthfulqa", "uq_sciq"):
            correct, scores = made_up(60, seed=len(model + task))
            write_run(tmp_path, correct, scores, model=model, task=task, date=f"2026-01-02T03-04-0{len(task) % 10}")
    content = content_of(tmp_path)
    headings, table = content.all_tables()[0]
    assert headings == "AUROC ↑"
    assert table.groups == [("Mean over 2 tasks", 2), ("a", 2), ("b", 2)]
    assert [h.title for h in table.headings] == ["a", "b", "uq_sciq", "uq_truthfulqa", "uq_sciq", "uq_truthfulqa"]
    values = cells(content, "auroc", "g_nll")
    assert values[0] == pytest.approx(np.mean(values[2:4]))
    assert values[1] == pytest.approx(np.mean(values[4:]))
    for at in range(6):
        assert sum(row.cells[at].best for row in table.rows) == 1


def test_rows_are_sorted_by_the_first_column_the_best_first(tmp_path: Path) -> None:
    correct, scores = made_up(400, methods=("g_nll", "semgrad", "sar", "ln_pe"))
    write_run(tmp_path, correct, {**{name: scores[name] for name in reversed(scores)}, "constant": np.ones(400)})
    write_run(tmp_path, *made_up(400, seed=2, methods=tuple(scores)), task="uq_truthfulqa", date="2026-01-02T03-04-06")
    for measure, sign in (("auroc", -1), ("aurc", 1), ("prr", -1)):
        table = next(table for _, table in content_of(tmp_path).all_tables() if table.name == measure)
        assert table.mean_first
        assert table.headings[0].title == "Mean over 2"
        assert [row.name for row in table.rows][-2:] == ["constant", "combined"]  # no mean; not ranked
        means = [sign * row.cells[0].value for row in table.rows[:-2]]
        assert means == sorted(means)


def test_settings_that_differ_make_no_mean(tmp_path: Path) -> None:
    for at, limit in enumerate((40.0, 50.0)):
        write_run(tmp_path, *made_up(40 + 10 * at), date=f"2026-01-0{at + 1}T00-00-00", config={"limit": limit})
    (_, table), *_ = content_of(tmp_path).all_tables()
    assert [(heading.group, heading.title) for heading in table.headings] == [
        ("small-model (limit=40)", "uq_sciq"),
        ("small-model (limit=50)", "uq_sciq"),
    ]


def test_a_second_decimal_stands_where_the_error_is_smaller_than_1(tmp_path: Path) -> None:
    write_run(tmp_path, *made_up(100), task="uq_sciq")
    write_run(tmp_path, *made_up(20_000), task="uq_truthfulqa", date="2026-01-02T03-04-06")
    table = content_of(tmp_path, combined=False).all_tables()[0][1]
    assert [heading.digits for heading in table.headings] == [1, 1, 2]
    line = next(line for line in table_as_markdown(table).splitlines() if line.startswith("| G-NLL"))
    g_nll = next(row for row in table.rows if row.name == "g_nll")
    assert f"{g_nll.cells[1].value:.1f}** ± {g_nll.cells[1].stderr:.1f}" in line
    assert f"{g_nll.cells[2].value:.2f}** ± {g_nll.cells[2].stderr:.2f}" in line


def test_of_equal_methods_one_is_the_best_and_the_others_are_not_told_apart(tmp_path: Path) -> None:
    correct, scores = made_up(60)
    write_run(tmp_path, correct, {"g_nll": scores["g_nll"], "sar": scores["g_nll"], "semgrad": scores["semgrad"]})
    for _, table in content_of(tmp_path).all_tables():
        assert sum(row.cells[0].best for row in table.rows) == 1
        if table.name == "auroc":
            assert "a lower number can have the mark" in table.caption
            assert {row.cells[0].not_worse for row in table.rows[:2]} == {True, False}


def test_lower_is_better_for_aurc(tmp_path: Path) -> None:
    write_run(tmp_path, *made_up(80))
    table = content_of(tmp_path).all_tables()[1][1]
    best = next(row.cells[0].value for row in table.rows if row.cells[0].best)
    assert best == min(row.cells[0].value for row in table.rows)
    assert not any(cell.not_worse for row in table.rows for cell in row.cells)  # DeLong's test is of AUROC


def test_a_method_in_one_run_only_has_a_gap_and_no_average(tmp_path: Path) -> None:
    correct, scores = made_up(60)
    write_run(tmp_path, correct, scores, task="uq_sciq")
    write_run(tmp_path, correct, {"g_nll": scores["g_nll"]}, task="uq_truthfulqa", date="2026-01-02T03-04-06")
    mean, first, second = cells(content_of(tmp_path), "auroc", "sar")
    assert math.isnan(mean)
    assert math.isfinite(first)
    assert math.isnan(second)


def test_an_all_correct_task_is_named_and_does_not_spoil_the_average(tmp_path: Path) -> None:
    correct, scores = made_up(60)
    write_run(tmp_path, correct, scores, task="uq_sciq")
    write_run(tmp_path, np.ones(60, dtype=int), scores, task="uq_truthfulqa", date="2026-01-02T03-04-06")
    content = content_of(tmp_path)
    first, second = cells(content, "auroc", "g_nll")  # and no mean of one number
    assert math.isnan(second)
    assert any("all 60 answers are correct" in note for note in content.notes)
    assert content.runs[1].examples == ()
    assert "Best on uq_sciq: G-NLL" in content.headlines()[0][1].sentence
    write_run(tmp_path, *made_up(60, seed=1), task="uq_triviaqa", date="2026-01-02T03-04-07")
    mean, first, third, _ = cells(content_of(tmp_path), "auroc", "g_nll")
    assert mean == pytest.approx((first + third) / 2)


@pytest.mark.parametrize(("right", "few"), [(2, True), (9, True), (10, False), (50, False), (51, True)])
def test_numbers_from_few_right_or_wrong_answers_are_marked(tmp_path: Path, right: int, few: bool) -> None:
    _, scores = made_up(60)
    write_run(tmp_path, (np.arange(60) < right).astype(int), scores)
    content = content_of(tmp_path)
    table = content.all_tables()[0][1]
    assert {cell.few for row in table.rows for cell in row.cells} == {few}
    assert ("‡ fewer than 10 right or wrong answers" in table.caption) == few
    assert any("so AUROC, AURC and PRR mean little" in note for note in content.notes) == few


def test_few_are_told_from_the_accuracy_where_there_are_no_samples(tmp_path: Path) -> None:
    metrics = {"accuracy": 0.05, "auroc_g_nll": 0.8}
    write_run(tmp_path, [0] * 38 + [1] * 2, {}, metrics=metrics, samples=False)
    assert content_of(tmp_path).all_tables()[0][1].rows[0].cells[0].few


def test_an_average_with_few_is_marked(tmp_path: Path) -> None:
    correct, scores = made_up(60)
    write_run(tmp_path, correct, scores, task="uq_sciq")
    write_run(tmp_path, (np.arange(60) < 3).astype(int), scores, task="uq_truthfulqa", date="2026-01-02T03-04-06")
    row = content_of(tmp_path).all_tables()[0][1].rows[0]
    assert [cell.few for cell in row.cells] == [True, False, True]


def test_an_error_of_0_is_explained(tmp_path: Path) -> None:
    correct = (np.arange(60) < 30).astype(int)
    write_run(tmp_path, correct, {"g_nll": np.arange(60.0), "sar": np.random.default_rng(0).normal(size=60)})
    (note,) = [note for note in content_of(tmp_path).notes if "the error of AUROC is 0" in note]
    assert "for G-NLL, since the scores separate right from wrong answers completely" in note


def test_undefined_scores_are_counted_and_left_out(tmp_path: Path) -> None:
    correct, scores = made_up(60)
    gaps: list[float | None] = [None if at < 3 else value for at, value in enumerate(scores["sar"].tolist())]
    gaps[3] = float("nan")
    write_run(tmp_path, correct, {"g_nll": scores["g_nll"].tolist(), "sar": gaps})
    content = content_of(tmp_path)
    assert content.runs[0].undefined == 4
    assert any("SAR has no score for 4 of 60 answers" in note for note in content.notes)


def test_results_without_samples_give_their_reported_numbers_and_no_tests(tmp_path: Path) -> None:
    metrics = {"accuracy": 0.5, "auroc_g_nll": 0.8, "auroc_g_nll_stderr": 0.02, "auroc_sar": 0.7, "aurc_g_nll": 0.3}
    write_run(tmp_path, [0, 1], {}, metrics=metrics, samples=False)
    content = content_of(tmp_path)
    table = content.all_tables()[0][1]
    assert [(row.name, row.cells[0].value, row.cells[0].best) for row in table.rows] == [
        ("g_nll", 80, True),
        ("sar", 70, False),
    ]
    assert not table.rows[1].cells[0].not_worse
    assert any("logged no samples" in note for note in content.notes)
    assert content.runs[0].questions == 2


def test_a_line_that_a_killed_run_cut_off_is_named(tmp_path: Path) -> None:
    place = write_run(tmp_path, *made_up(40))
    samples = next(place.glob("samples_*"))
    samples.write_bytes(samples.read_bytes()[:-400])
    content = content_of(tmp_path)
    assert content.runs[0].questions == 39
    assert any("cut off" in note for note in content.notes)


def test_duplicated_questions_are_named(tmp_path: Path) -> None:
    correct, scores = made_up(40)
    place = write_run(tmp_path, correct, scores)
    samples = next(place.glob("samples_*"))
    first = samples.read_text(encoding="utf-8").splitlines(keepends=True)[0]
    samples.write_text(samples.read_text(encoding="utf-8") + first, encoding="utf-8")
    assert any("1 answers are to questions that were asked before" in note for note in content_of(tmp_path).notes)


def test_two_judges_have_tables_of_their_own(tmp_path: Path) -> None:
    correct, scores = made_up(40)
    write_run(tmp_path / "a", correct, scores, judge="f1")
    write_run(tmp_path / "b", correct, scores, judge="token_recall")
    assert [heading for heading, _ in content_of(tmp_path).all_tables()[::3]] == [
        "AUROC ↑ (f1)",
        "AUROC ↑ (token_recall)",
    ]


def test_the_last_of_repeated_runs_counts_and_all_can_be_kept(tmp_path: Path) -> None:
    for day in (1, 2):
        write_run(
            tmp_path, *made_up(40, seed=day), date=f"2026-01-0{day}T00-00-00", timestamp=1767225600.0 + 86400 * day
        )
    content = content_of(tmp_path)
    assert [run.date[:10] for run in content.runs] == ["2026-01-03"]
    assert any("1 earlier runs" in note for note in content.notes)
    kept = content_of(tmp_path, all_runs=True)
    assert [run.model for run in kept.runs] == [
        "small-model [2026-01-02 00:00:00]",
        "small-model [2026-01-03 00:00:00]",
    ]


def test_runs_of_one_model_with_other_settings_are_told_apart_by_these(tmp_path: Path) -> None:
    for at, norm in enumerate(("l1", "l2")):
        write_run(
            tmp_path, *made_up(40), date=f"2026-01-0{at + 1}T00-00-00", model_args={"semgrad_norm": norm, "device": at}
        )
    write_run(tmp_path, *made_up(40), task="uq_truthfulqa", model_args={"semgrad_norm": "l1"})
    assert [(run.model, run.task) for run in content_of(tmp_path).runs] == [
        ("small-model (semgrad_norm=l1)", "uq_sciq"),
        ("small-model (semgrad_norm=l1)", "uq_truthfulqa"),
        ("small-model (semgrad_norm=l2)", "uq_sciq"),
    ]


def test_confident_errors_are_the_wrong_answers_with_the_lowest_scores(tmp_path: Path) -> None:
    correct, scores = made_up(80)
    write_run(tmp_path, correct, scores)
    run = content_of(tmp_path, examples_by="sar").runs[0]
    wrong = np.flatnonzero(correct == 0)
    surest = wrong[np.argsort(scores["sar"][wrong])][:5]
    assert [one.answer for one in run.examples] == [f"answer {row}" for row in surest]
    assert run.examples_by == "SAR"
    first = run.examples[0]
    assert first.references == (f"reference {surest[0]}", "other")
    assert first.surer_than == pytest.approx((scores["sar"] > scores["sar"][surest[0]]).sum() / 79)
    assert first.methods == 3


def test_costs_are_the_seconds_of_what_a_method_reads_with_its_options(tmp_path: Path) -> None:
    methods = ("g_nll", "exgrad", "hybridgrad", "p_true", "conditional_pmi", "degree", "sar", "gone")
    correct, scores = made_up(40, methods=methods)
    five, ten = Samples(5, 1.0), Samples(10, 1.0)
    known = {"p_true": 0.25, "conditional_pmi": 0.5, "exgrad": 0.125}
    needs = {name: next(n for n in all_methods()[name]().needs() if n.stage != "answer") for name in known}
    semgrad, paragrad = (next(iter(all_methods()[name]().needs())) for name in ("semgrad", "paragrad"))
    spent = {needs[name]: seconds for name, seconds in known.items()} | {five: 1.0, ten: 2.0}
    spent |= {PairwiseSimilarity(five): 0.5, TokenRelevance(five): 4.0, semgrad: 1.0, paragrad: 0.75}
    cost = {"decode_seconds": 3.0, "answer_seconds": 0.5, "gradients_seconds": 1.5, "scoring_seconds": 0.75}
    cost |= {"similarity_seconds": 4.5, "nli_seconds": 7.0}
    cost |= {f"alone/{name_of(need)}": seconds for need, seconds in spent.items()}
    write_run(tmp_path, correct, scores, cost=cost, config={"uncertainty": {"graph": "jaccard", "entropy_samples": 10}})
    found = content_of(tmp_path).runs[0].costs
    assert found.answer == 0.5
    assert {name: found.extra[name] for name in known} == known  # not the whole of a stage
    assert found.extra["g_nll"] == 0
    assert found.extra["hybridgrad"] == 1.5  # its two gradients share some of the stage, which is not counted twice
    assert found.extra["degree"] == 2.0  # with this graph it asks no NLI model
    assert found.extra["sar"] == 5.5
    assert math.isnan(found.extra["gone"])


def test_costs_in_records_of_earlier_versions_are_those_of_the_stages_that_a_method_needs(tmp_path: Path) -> None:
    correct, scores = made_up(40, methods=("g_nll", "semgrad", "sar", "ln_pe", "gone"))
    cost = {"decode_seconds": 1.0, "row_steps": 50.0, "gradients_seconds": 0.3, "similarity_seconds": 0.2}
    write_run(tmp_path, correct, scores, cost=cost)
    spent = content_of(tmp_path).runs[0].costs
    assert spent.answer == pytest.approx(0.1)  # 5 of 50 rows decoded were the greedy answer's
    assert spent.extra["g_nll"] == 0
    assert spent.extra["semgrad"] == pytest.approx(0.3)
    assert spent.extra["ln_pe"] == pytest.approx(0.9)
    assert spent.extra["sar"] == pytest.approx(1.1)
    assert math.isnan(spent.extra["gone"])


def test_runs_of_servers_say_their_requests_tokens_and_price(tmp_path: Path) -> None:
    cost = {"requests": 14.75, "prompt_tokens": 3892.0, "completion_tokens": 33.5, "request_seconds": 0.5}
    write_run(tmp_path, *made_up(12), model="org/local")
    assert not content_of(tmp_path).served
    write_run(tmp_path, *made_up(12), model="org/free", cost=cost)
    (table,) = content_of(tmp_path).served
    assert [row.title for row in table.rows] == ["requests", "tokens read", "tokens written"]
    write_run(tmp_path, *made_up(12), model="org/paid", cost={**cost, "requests": 2.0, "price": 2**-10})
    content = content_of(tmp_path)
    (table,) = content.served
    assert [heading.group for heading in table.headings] == ["free", "paid"]
    assert cells(content, table.name, "requests") == [14.75, 2.0]
    assert cells(content, table.name, "completion_tokens") == [33.5, 33.5]
    assert cells(content, table.name, "price") == pytest.approx([math.nan, 2**-10], nan_ok=True)
    assert [line for line in table_as_markdown(table).splitlines() if line.startswith(("| cost", "| price"))] == [
        "| cost | free uq_sciq | paid uq_sciq |",
        "| price | – | 0.000977 |",
    ]
    assert "price & " in table_as_latex(table, table.title, "tab:cost")
    assert "Cost & uq" in table_as_latex(table, table.title, "tab:cost")
    numbers = {tuple(row.split(",")[i] for i in (0, 4, 5)) for row in write_numbers(content).splitlines()}
    assert {("free", "requests", "14.75"), ("paid", "requests", "2.0"), ("paid", "price", "0.0009765625")} <= numbers
    assert not any(model == "local" and measure == "requests" for model, measure, _ in numbers)
    page = write_page(content, {run.id: run_figures(run) for run in content.runs})
    assert 'id="requests-and-tokens"' in page
    assert ">Cost</button>" in page
    assert ">0.000977<" in page


def test_the_papers_numbers_stand_beside_yours(tmp_path: Path) -> None:
    correct, scores = made_up(60)
    write_run(tmp_path, correct, scores, model="Qwen/Qwen3-4B-Instruct-2507", judge="bem")
    content = content_of(tmp_path, reference=True)
    table = next(one for _, one in content.all_tables() if one.name == "paper-table-1")
    assert table.groups == [
        ("Qwen3-4B-Instruct-2507", 1),
        ("paper: Qwen3-Instruct4B", 1),
        ("paper: Mistral-Nemo-Instruct12B", 1),
        ("paper: Llama3.1-Instruct8B", 1),
        ("yours − paper: Qwen3-Instruct4B", 1),
    ]
    values = cells(content, "paper-table-1", "semgrad")
    assert values[1:4] == [72.2, 75.55, 75.76]
    assert values[4] == pytest.approx(values[0] - 72.2)
    assert {"paper-table-2", "paper-table-3", "paper-table-5"} <= {one.name for _, one in content.all_tables()}
    assert any("not legible" in note for note in content.reference_notes)


def test_a_variant_stands_in_its_row_of_the_papers_ablation(tmp_path: Path) -> None:
    write_run(tmp_path, *made_up(60), config={"uncertainty": {"semgrad_norm": "l2", "sp_token": "-3"}})
    content = content_of(tmp_path, reference=True)
    table = next(one for _, one in content.all_tables() if one.name == "paper-table-2")
    filled = [row.title for row in table.rows if math.isfinite(row.cells[0].value)]
    assert filled == ["l2 norm"]
