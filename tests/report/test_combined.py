"""All scores together: what it finds, what it must not find, and what a reader is told."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from tests.report.runs import made_up, write_run
from tests.report.test_content import cells, content_of
from tests.support import SHARED, requires_shared
from uq_harness.functional import auroc, auroc_stderr, degree, discrete_semantic_entropy, self_consistency
from uq_harness.report.combined import Combination, combine
from uq_harness.report.csv import write_numbers
from uq_harness.report.markdown import write_markdown


def keys(count: int) -> list[str]:
    return [f"{row:08x}" for row in range(count)]


def two_halves(count: int, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Correctness, and two scores that each know another part of it."""
    random = np.random.default_rng(seed)
    first, second = random.normal(size=(2, count))
    correct = (random.random(count) < 1 / (1 + np.exp(first + second))).astype(int)
    return correct, {"first": np.exp(first), "second": second, "noise": random.normal(size=count)}


def combined(uncertainty: dict[str, np.ndarray], correct: np.ndarray, names: list[str] | None = None) -> Combination:
    found = combine(uncertainty, correct, names or keys(len(correct)))
    assert isinstance(found, Combination), found
    return found


def test_two_scores_that_complement_each_other_are_better_together() -> None:
    correct, scores = two_halves(1000)
    found = combined(scores, correct)
    assert found.against_best.difference > 0.05
    assert found.against_best.p_value < 1e-4
    assert found.best in ("first", "second")
    assert list(found.weights)[2] == "noise"
    assert found.weights["first"] == pytest.approx(found.weights["second"], rel=0.35)
    assert abs(found.weights["noise"]) < 0.2 * found.weights["first"]
    ideal = auroc(np.log(scores["first"]) + scores["second"], correct)
    assert auroc(found.scores, correct) == pytest.approx(ideal, abs=0.01)


def test_noise_beside_a_good_score_adds_nothing() -> None:
    random = np.random.default_rng(3)
    correct = (random.random(600) < 0.5).astype(int)
    noise = {f"noise_{number}": random.normal(size=600) for number in range(10)}
    found = combined({"good": random.normal(size=600) - 1.5 * correct, **noise}, correct)
    assert found.best == "good"
    assert found.against_best.p_value > 0.05
    assert next(iter(found.weights)) == "good"


@pytest.mark.parametrize("methods", [2, 40])
def test_labels_that_tell_nothing_are_not_ranked(methods: int) -> None:
    """Leakage from the answers that are scored would show here, the more so the more scores there are."""
    random = np.random.default_rng(methods)
    found = []
    for _ in range(12):
        correct = random.permutation(np.repeat([0, 1], 100))
        scores = {f"score_{number}": random.normal(size=200) for number in range(methods)}
        together = combined(scores, correct)
        found.append(auroc(together.scores, correct))
        assert together.against_best.p_value > 0.05 / 12 or together.against_best.difference < 0
    # the folds' weights have answers in common, so that chance spreads further than DeLong's error
    error = np.sqrt(2) * auroc_stderr(random.normal(size=200), correct) / np.sqrt(len(found))
    assert abs(np.mean(found) - 0.5) < 3 * error


def test_answers_to_one_question_do_not_tell_on_each_other() -> None:
    """Every question was asked six times; scores that only know the question know nothing of other questions."""
    random = np.random.default_rng(0)
    of_question = random.permutation(np.repeat([0, 1], 60))
    correct, names = np.repeat(of_question, 6), [name for name in keys(120) for _ in range(6)]
    scores = {f"score_{number}": np.repeat(random.normal(size=120), 6) for number in range(60)}
    assert auroc(combined(scores, correct, names).scores, correct) < 0.65
    assert auroc(combined(scores, correct).scores, correct) > 0.65  # where they are taken for different questions


def test_it_does_not_depend_on_the_answers_order_nor_on_monotone_changes() -> None:
    correct, scores = two_halves(300)
    scores["first"][:20] = np.nan
    found = combined(scores, correct)
    assert np.array_equal(found.scores, combined(scores, correct).scores)
    order = np.random.default_rng(1).permutation(300)
    names = [keys(300)[row] for row in order]
    shuffled = combined({name: values[order] for name, values in scores.items()}, correct[order], names)
    assert np.array_equal(shuffled.scores, found.scores[order])
    changed = combined({**scores, "second": np.exp(scores["second"])}, correct)
    assert changed.scores == pytest.approx(found.scores, abs=1e-9)


def test_undefined_scores_count_as_the_middle_and_answers_without_any_have_none() -> None:
    correct, scores = two_halves(400)
    for values in scores.values():
        values[:7] = np.nan
    scores["first"][7:60] = np.nan
    scores["first"][60] = np.inf
    found = combined(scores, correct)
    assert np.flatnonzero(np.isnan(found.scores)).tolist() == list(range(7))
    assert found.against_best.n == (400 - 7 if found.best == "second" else 400 - 61)
    random = np.random.default_rng(0)
    gone = np.where(random.random(400) < 0.5, np.nan, scores["second"])
    assert auroc(combined({**scores, "second": gone}, correct).scores, correct) < auroc(found.scores, correct)


def test_the_weights_are_those_of_a_logistic_regression_on_standardised_ranks() -> None:
    correct, scores = two_halves(4000)
    found = combined(scores, correct)
    ranks = np.column_stack([rankdata(values) for values in scores.values()])
    ranks = (ranks - ranks.mean(axis=0)) / ranks.std(axis=0)
    plain = dict(zip(scores, LogisticRegression(C=1.0).fit(ranks, 1 - correct).coef_[0], strict=True))
    assert found.weights == pytest.approx(plain, rel=0.1, abs=0.02)


@pytest.mark.parametrize(
    ("right", "methods", "reason"),
    [(49, ("g_nll", "sar"), "there are 49 and 151"), (60, ("g_nll",), "there is one"), (0, (), "there are none")],
)
def test_it_says_why_there_is_no_row(right: int, methods: tuple[str, ...], reason: str) -> None:
    correct = np.repeat([1, 0], [right, 200 - right])
    _, scores = made_up(200, methods)
    found = combine(scores, correct, keys(200))
    assert isinstance(found, str)
    assert reason in found


def test_constant_scores_and_a_method_of_its_name() -> None:
    correct, scores = two_halves(200)
    assert "there is one" in str(combine({"first": scores["first"], "flat": np.ones(200)}, correct, keys(200)))
    assert "called combined" in str(combine({**scores, "combined": scores["first"]}, correct, keys(200)))
    assert list(combined({**scores, "flat": np.ones(200)}, correct).weights) == list(combined(scores, correct).weights)


def test_a_method_that_scores_few_answers_is_not_the_best_single_one() -> None:
    """Neither one of right answers alone, which has no AUROC, nor one that happens to get its few answers right."""
    correct, scores = two_halves(400)
    of_right, lucky = np.full(400, np.nan), np.full(400, np.nan)
    of_right[np.flatnonzero(correct)] = np.arange(correct.sum())
    some = np.concatenate([np.flatnonzero(correct == label)[:5] for label in (1, 0)])
    lucky[some] = np.arange(10)
    assert auroc(lucky, correct) == 1
    found = combined({"a_of_right": of_right, "a_lucky": lucky, **scores}, correct)
    assert found.best == combined(scores, correct).best
    assert (found.against_best.n, found.against_best.second) == (400, auroc(scores[found.best], correct))


class TestManyAnswers:
    """Weights are fitted to some of them only."""

    def test_what_is_found_is_hardly_worse_and_does_not_depend_on_the_answers_order(self, monkeypatch) -> None:
        correct, scores = two_halves(4000)
        whole = combined(scores, correct)
        monkeypatch.setattr("uq_harness.report.combined.MOST", 800)
        found = combined(scores, correct)
        assert (whole.sampled, found.sampled) == (False, True)
        assert np.isfinite(found.scores).all()
        assert auroc(found.scores, correct) == pytest.approx(auroc(whole.scores, correct), abs=0.01)
        order = np.random.default_rng(1).permutation(4000)
        names = [keys(4000)[row] for row in order]
        shuffled = combined({name: values[order] for name, values in scores.items()}, correct[order], names)
        assert np.array_equal(shuffled.scores, found.scores[order])

    def test_all_of_a_rare_kind_are_taken(self, monkeypatch) -> None:
        """Of 60 wrong answers among 3,000 a plain sample of 200 would have three or four."""
        random = np.random.default_rng(0)
        correct = np.repeat([0, 1], [60, 2940])
        scores = {name: random.normal(size=3000) - correct for name in ("first", "second")}
        whole = combined(scores, correct)
        monkeypatch.setattr("uq_harness.report.combined.MOST", 200)
        found = combined(scores, correct)
        assert auroc(found.scores, correct) == pytest.approx(auroc(whole.scores, correct), abs=0.02)

    def test_a_sentence_says_so(self, monkeypatch, tmp_path: Path) -> None:
        correct, scores = two_halves(400)
        write_run(tmp_path, correct, {"g_nll": scores["first"].tolist(), "sar": scores["second"].tolist()})
        assert "of the other folds' answers" not in content_of(tmp_path).combined[0]
        for module in ("combined", "content"):
            monkeypatch.setattr(f"uq_harness.report.{module}.MOST", 250)
        assert (
            "Weights, each fold's fitted to 250 of the other folds' answers: G-NLL +"
            in content_of(tmp_path).combined[0]
        )


def test_the_row_stands_below_the_methods_and_is_never_the_best(tmp_path: Path) -> None:
    correct, scores = two_halves(400)
    named = {"g_nll": scores["first"], "sar": scores["second"]}
    write_run(tmp_path, correct, {name: values.tolist() for name, values in named.items()})
    content = content_of(tmp_path)
    for measure, better in (("auroc", 1), ("aurc", -1), ("prr", 1)):
        table = next(table for _, table in content.all_tables() if table.name == measure)
        assert [row.name for row in table.rows] == ["g_nll", "sar", "combined"]
        together = table.rows[-1].cells[0]
        assert better * together.value > max(better * row.cells[0].value for row in table.rows[:-1])
        assert together.stderr > 0
        assert (together.best, together.not_worse) == (False, False)
        assert sum(row.cells[0].best for row in table.rows) == 1
    found = content.runs[0].combination
    assert isinstance(found, Combination)
    assert cells(content, "auroc", "combined") == [100 * auroc(found.scores, content.runs[0].run.correct)]
    said, how = content.combined
    assert "significant" in said
    assert "G-NLL +" in said
    assert "flatters" in how
    assert "All scores together" in write_markdown(content)
    row = next(
        row
        for row in csv.DictReader(io.StringIO(write_numbers(content)))
        if (row["method"], row["measure"]) == ("combined", "auroc")
    )
    assert (float(row["p_value"]), row["best"], row["scored"]) == (found.against_best.p_value, "", "400")


def test_without_enough_answers_a_sentence_stands_in_the_rows_place(tmp_path: Path) -> None:
    write_run(tmp_path, *made_up(60))
    content = content_of(tmp_path)
    assert "it takes 50 right and 50 wrong answers" in content.combined[0]
    assert {row.name for row in content.all_tables()[0][1].rows} == {"g_nll", "sar", "semgrad"}
    assert content_of(tmp_path, combined=False).combined == ()


@requires_shared
def test_scores_of_real_samples_together() -> None:
    """LLaMA-13B on TriviaQA: word overlap of ten samples, clusters of equal texts, agreement with the answer."""
    assert SHARED is not None
    lines = (SHARED / "data/uqnlg_llama13b_triviaqa/generations.jsonl").read_text(encoding="utf-8").splitlines()
    correct, scores, names = [], {"degree": [], "entropy": [], "consistency": []}, []
    for line in map(json.loads, lines):
        answer, samples = line["samples"][0].lower(), [text.lower() for text in line["samples"][1:11]]
        words = [frozenset(text.split()) for text in (*samples, answer)]
        overlap = np.array([[len(a & b) / max(1, len(a | b)) for b in words] for a in words])
        np.fill_diagonal(overlap, 1.0)
        ids = [samples.index(text) for text in samples]
        scores["degree"].append(degree(overlap[:-1, :-1]))
        scores["entropy"].append(discrete_semantic_entropy(np.unique(ids, return_inverse=True)[1]))
        scores["consistency"].append(self_consistency([float(text == answer) for text in samples]))
        correct.append(int(line["answers"][0].lower() in answer))
        names.append(line["id"])
    found = combined({name: np.array(values) for name, values in scores.items()}, np.array(correct), names)
    assert found.best in scores
    assert found.against_best.n == 500
    assert found.against_best.first > 0.75
    assert found.against_best.difference > -0.02
    assert all(np.isfinite(found.scores))
