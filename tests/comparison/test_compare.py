"""What is compared with what, which verdict it gets, and how often a verdict is false."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from tests.results.files import sample, simulated, task_run, write_run
from uq_harness.comparison.compare import compare_runs
from uq_harness.errors import UQHarnessError
from uq_harness.functional import auroc, holm, paired_accuracy, paired_auroc
from uq_harness.results.load import load_runs

METHODS = {"semgrad": 1.0, "g_nll": 0.5}


@pytest.fixture
def written(tmp_path):
    """Writes a run into a folder of its own and reads it."""

    def write(side, samples, **settings):
        write_run(tmp_path / side, samples, **settings)
        return load_runs(tmp_path / side, repeated=True)

    return write


def model(random, n=120, gap=1.0, skill=0.0, methods=4):
    """A model's answers to questions that are equally hard for every model."""
    difficulty = np.linspace(-2, 2, n)
    correct = (random.normal(size=n) + skill > difficulty).astype(int)
    return task_run(
        correct, {f"m{i}": random.normal(size=n) + 0.5 * difficulty - gap * correct for i in range(methods)}
    )


class TestNumbers:
    def test_rows_are_the_paired_tests(self, written):
        a = written("a", simulated(80, METHODS))
        b = written("b", simulated(80, METHODS, seed=1, accuracy=0.5))
        rows = compare_runs(a, b).rows
        assert [(row.measure, row.method) for row in rows] == [
            ("accuracy", ""),
            ("auroc", "semgrad"),
            ("auroc", "g_nll"),
        ]
        expected = paired_auroc(
            b[0].uncertainty["g_nll"], a[0].uncertainty["g_nll"], b[0].correct, a[0].correct, level=0.95
        )
        assert (rows[2].difference, rows[2].interval, rows[2].p_value) == (
            expected.difference,
            expected.interval,
            expected.p_value,
        )
        assert rows[2].baseline == auroc(a[0].uncertainty["g_nll"], a[0].correct)
        assert rows[0].p_value == paired_accuracy(b[0].correct, a[0].correct).p_value
        assert rows[0].difference == pytest.approx(-0.1)

    def test_questions_are_paired_by_text_not_by_place(self, written):
        a = written("a", simulated(60, METHODS))
        b = simulated(60, METHODS, seed=1)
        plain = compare_runs(a, written("b", b)).rows
        assert compare_runs(a, written("c", b[::-1])).rows == plain

    def test_only_common_questions_count(self, written):
        a, b = simulated(60, METHODS), simulated(60, METHODS, seed=1)
        found = compare_runs(written("a", a[:50]), written("b", b[10:])).tasks[0]
        assert found.rows == compare_runs(written("c", a[10:50]), written("d", b[10:50])).tasks[0].rows
        assert (found.pair.only_baseline, found.pair.only_candidate, found.rows[0].n) == (10, 10, 40)

    def test_a_question_asked_twice_counts_once(self, written):
        a, b = simulated(60, METHODS), simulated(60, METHODS, seed=1)
        found = compare_runs(written("a", a + a[:20]), written("b", b + b[5:10])).tasks[0]
        assert found.rows == compare_runs(written("c", a), written("d", b)).tasks[0].rows
        assert found.pair.repeated == 25

    def test_questions_without_a_score_on_one_side_are_left_out_of_that_method(self, written):
        a, b = simulated(60, METHODS), simulated(60, METHODS, seed=1)
        a[0]["doc"]["uq"]["uncertainty"]["semgrad"] = None
        b[1]["doc"]["uq"]["uncertainty"]["semgrad"] = float("nan")
        rows = compare_runs(written("a", a), written("b", b)).rows
        assert [row.n for row in rows] == [60, 58, 60]

    def test_correction_covers_all_tasks(self, written):
        sides = []
        for side, seed in (("a", 0), ("b", 1)):
            for number, task in enumerate(("uq_sciq", "uq_triviaqa")):
                runs = written(
                    side,
                    simulated(60, METHODS, seed=seed + 10 * number),
                    task=task,
                    date=f"2026-05-0{number + 1}T12-00-00",
                )
            sides.append(runs)
        found = compare_runs(*sides)
        assert len(found.rows) == 6
        assert [row.p_adjusted for row in found.rows] == holm([row.p_value for row in found.rows]).tolist()


class TestVerdicts:
    def test_the_same_run_is_unchanged(self, written):
        a = written("a", simulated(60, METHODS))
        assert {row.verdict for row in compare_runs(a, a).rows} == {"unchanged"}

    @pytest.mark.parametrize(("first", "second", "verdict"), [(2.0, 0.0, "worse"), (0.0, 2.0, "better")])
    def test_direction(self, written, first, second, verdict):
        a = written("a", simulated(200, {"semgrad": first, "g_nll": 1.0}))
        b = written("b", simulated(200, {"semgrad": second, "g_nll": 1.0}, seed=1))
        found = compare_runs(a, b)
        assert {row.method: row.verdict for row in found.rows}["semgrad"] == verdict
        assert found.regression == (verdict == "worse")

    def test_a_lower_aurc_is_better(self, written):
        a = written("a", simulated(200, {"semgrad": 0.0}))
        b = written("b", simulated(200, {"semgrad": 2.0}, seed=1))
        there, back = (compare_runs(*sides, measures=["aurc", "prr"]) for sides in ((a, b), (b, a)))
        assert [(row.name, row.verdict) for row in there.rows[1:]] == [
            ("semgrad AURC", "better"),
            ("semgrad PRR", "better"),
        ]
        assert [row.verdict for row in back.rows[1:]] == ["worse", "worse"]
        assert there.rows[1].difference < 0

    def test_a_small_effect_is_no_regression(self, written):
        a, b = written("a", simulated(200, {"g": 2.0})), written("b", simulated(200, {"g": 0.5}, seed=1))
        drop = -compare_runs(a, b).rows[1].difference
        assert compare_runs(a, b, min_effect=drop - 0.001).rows[1].verdict == "worse"
        assert compare_runs(a, b, min_effect=drop + 0.001).rows[1].verdict == "small"

    def test_alpha_is_the_line(self, written):
        a, b = written("a", simulated(100, {"g": 1.5})), written("b", simulated(100, {"g": 0.5}, seed=1))
        p = compare_runs(a, b).rows[1].p_adjusted
        assert compare_runs(a, b, alpha=p * 1.01).rows[1].verdict == "worse"
        assert compare_runs(a, b, alpha=p * 0.99).rows[1].verdict == "unchanged"

    def test_one_class_is_undefined_and_does_not_count_in_the_correction(self, written):
        lines = simulated(30, METHODS)
        for line in lines:
            line["doc"]["uq"]["correct"] = 1
        found = compare_runs(written("a", lines), written("b", lines))
        assert [row.verdict for row in found.rows] == ["unchanged", "undefined", "undefined"]
        assert not found.regression

    def test_gate_keeps_its_level_where_nothing_changed(self):
        random, runs, alpha = np.random.default_rng(0), 400, 0.1
        false = sum(compare_runs([model(random)], [model(random)], alpha=alpha).regression for _ in range(runs))
        assert binomtest(false, runs, alpha, alternative="greater").pvalue > 0.001

    def test_gate_finds_what_got_worse(self):
        random, runs = np.random.default_rng(1), 60
        found = sum(compare_runs([model(random)], [model(random, skill=-1.2)]).regression for _ in range(runs))
        assert found > 0.9 * runs


class TestWhatCannotBeCompared:
    @pytest.mark.parametrize(
        ("aspect", "settings", "message"),
        [
            ("version", {"version": 2.0}, "task version: 1.0 against 2.0"),
            ("split", {"settings": {"test_split": "test"}}, "split: validation against test"),
            ("split", {"settings": {"dataset_name": "rc"}}, "split: validation against rc, validation"),
            (
                "judge",
                {"judges": [{"name": "exact_match", "threshold": 0.5}]},
                r"judge: exact_match\(threshold=1.0\) against exact_match\(threshold=0.5\)",
            ),
        ],
    )
    def test_other_settings_are_refused_unless_allowed(self, written, aspect, settings, message):
        a, b = written("a", simulated(30, METHODS)), written("b", simulated(30, METHODS), **settings)
        with pytest.raises(UQHarnessError, match=f"cannot be compared: {message}.*--allow_different {aspect}"):
            compare_runs(a, b)
        assert list(compare_runs(a, b, allow_different=[aspect]).tasks[0].allowed) == [aspect]

    def test_other_prompts_are_refused_unless_allowed(self, written):
        lines = simulated(30, METHODS)
        lines[3] = {**lines[3], "prompt_hash": "another"}
        a, b = written("a", simulated(30, METHODS)), written("b", lines)
        with pytest.raises(UQHarnessError, match="1 of 30 questions were put with another prompt"):
            compare_runs(a, b)
        assert compare_runs(a, b, allow_different=["prompt"]).tasks[0].allowed

    def test_other_judges_are_refused_unless_allowed(self, written):
        a = written("a", simulated(30, METHODS))
        b = written("b", simulated(30, METHODS, judge="bem"), judges=[{"name": "bem", "threshold": 0.5}])
        with pytest.raises(UQHarnessError, match="judge: exact_match against bem"):
            compare_runs(a, b)
        pair = compare_runs(a, b, allow_different=["judge"]).tasks[0].pair
        assert (pair.title, len(pair.baseline)) == ("uq_sciq (exact_match / bem)", 30)

    def test_every_difference_is_named_at_once(self, written):
        a = written("a", simulated(30, METHODS))
        b = written("b", simulated(30, METHODS), version=2.0, settings={"test_split": "test"})
        with pytest.raises(UQHarnessError, match="--allow_different version --allow_different split"):
            compare_runs(a, b)

    def test_what_is_not_recorded_is_not_the_same(self, written, tmp_path):
        a = written("a", simulated(30, METHODS))
        write_run(tmp_path / "b", simulated(30, METHODS)).unlink()
        with pytest.raises(UQHarnessError, match=r"task version: 1\.0 against not recorded"):
            compare_runs(a, load_runs(tmp_path / "b"))

    def test_no_common_question(self, written):
        lines = [sample(i + 100, line["doc"]["uq"]) for i, line in enumerate(simulated(30, METHODS))]
        with pytest.raises(UQHarnessError, match="have no question in common"):
            compare_runs(written("a", simulated(30, METHODS)), written("b", lines))

    def test_no_common_task(self, written):
        a, b = written("a", simulated(9, METHODS)), written("b", simulated(9, METHODS), task="uq_triviaqa")
        with pytest.raises(
            UQHarnessError, match="the baseline has a-model, uq_sciq, exact_match, the candidate a-model, uq_t"
        ):
            compare_runs(a, b)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"alpha": 5}, "alpha is 5, but must be between 0 and 1"),
            ({"min_effect": -0.1}, "min_effect is -0.1"),
            ({"methods": ["sar"]}, "no run has the method 'sar': both sides have g_nll, semgrad"),
            ({"measures": ["auc"]}, "measure 'auc' is not known: there are auroc, aurc or prr"),
            ({"allow_different": ["seed"]}, "seed is not known: it takes version, prompt, judge or split"),
        ],
    )
    def test_wrong_settings_are_named(self, written, settings, message):
        a = written("a", simulated(9, METHODS))
        with pytest.raises(UQHarnessError, match=message):
            compare_runs(a, a, **settings)


class TestWhatStandsOnOneSideOnly:
    def test_methods_are_named_and_not_tested(self, written):
        found = compare_runs(
            written("a", simulated(30, {"g_nll": 1.0, "sar": 1.0})),
            written("b", simulated(30, {"g_nll": 1.0, "p_true": 1.0})),
        ).tasks[0]
        assert [row.method for row in found.rows] == ["", "g_nll"]
        assert (found.only_baseline, found.only_candidate) == (("sar",), ("p_true",))

    @pytest.mark.parametrize(("method", "side"), [("sar", "baseline"), ("p_true", "candidate")])
    def test_a_method_that_was_asked_for_must_stand_on_both(self, written, method, side):
        a = written("a", simulated(30, {"g_nll": 1.0, "sar": 1.0}))
        b = written("b", simulated(30, {"g_nll": 1.0, "p_true": 1.0}))
        with pytest.raises(UQHarnessError, match=f"the {side} alone has the method '{method}': both sides have g_nll"):
            compare_runs(a, b, methods=["g_nll", method])

    def test_only_chosen_methods_are_tested(self, written):
        a = written("a", simulated(30, METHODS))
        assert [row.method for row in compare_runs(a, a, methods=["g_nll"]).rows] == ["", "g_nll"]

    def test_tasks_are_named_in_a_warning(self, written, caplog):
        a = written("a", simulated(30, METHODS))
        both = [*a, *written("b", simulated(30, METHODS), task="uq_triviaqa")]
        assert len(compare_runs(a, both).tasks) == 1
        assert "only the candidate has a-model, uq_triviaqa, exact_match" in caplog.text


def test_several_models_are_paired_by_name(written):
    a = [run for name in "xy" for run in written("a" + name, simulated(30, METHODS), model=name)]
    b = [run for name in "yx" for run in written("b" + name, simulated(30, METHODS), model=name)]
    found = [(task.pair.title, task.pair.candidate.model) for task in compare_runs(a, b).tasks]
    assert found == [("x, uq_sciq (exact_match)", "x"), ("y, uq_sciq (exact_match)", "y")]


def test_two_single_models_are_paired_whatever_their_names(written):
    a, b = written("a", simulated(30, METHODS), model="x"), written("b", simulated(30, METHODS), model="y")
    settings = compare_runs(a, b).tasks[0].settings
    assert settings["model"] == ("x", "y")
    assert json.dumps(settings)


def test_comparisons_do_not_depend_on_other_runs_dates(written):
    a = written("a", simulated(30, METHODS))
    assert compare_runs(a, [replace(a[0], date=None)]).rows == compare_runs(a, a).rows
