"""A policy from a run to an application: what is written, and what the application then does."""

import json
import subprocess
import sys

import numpy as np
import pytest

import uq_harness
from tests.results.files import simulated, task_run, write_run
from uq_harness.abstention.abstainer import Abstainer
from uq_harness.abstention.diagram import draw_reliability
from uq_harness.abstention.policy import as_values, make_policy
from uq_harness.cli import main
from uq_harness.errors import UQHarnessError
from uq_harness.functional import control_risk, error_curve
from uq_harness.results.load import load_runs

TARGET, DELTA = 0.2, 0.1


def run(n=400, seed=0, **fields):
    random = np.random.default_rng(seed)
    scores = random.random(n)
    return task_run(random.random(n) > 0.6 * scores, {"sar": scores}, **fields)


def loaded(policy, tmp_path):
    file = tmp_path / "threshold.json"
    file.write_text(json.dumps(as_values(policy), allow_nan=False), encoding="utf-8")
    return Abstainer.load(file)


class TestAbstainer:
    def test_decides_as_the_threshold_says(self, tmp_path):
        policy = make_policy(run(), "sar", TARGET, DELTA)
        abstainer = loaded(policy, tmp_path)
        scores = policy.run.uncertainty["sar"]
        rule = control_risk(scores, policy.run.correct, TARGET, DELTA)
        assert 0 < rule.coverage < 1
        assert [abstainer.should_answer(s) for s in scores] == (scores < rule.threshold).tolist()
        assert (abstainer.method, abstainer.target, abstainer.delta) == ("sar", TARGET, DELTA)

    def test_probabilities_are_those_of_the_curve(self, tmp_path):
        policy = make_policy(run(), "sar", TARGET, DELTA)
        abstainer = loaded(policy, tmp_path)
        curve = error_curve(policy.run.uncertainty["sar"], policy.run.correct)
        at = [-1, *policy.run.uncertainty["sar"][:50], *curve.scores, *np.linspace(0, 1, 77), 2, np.inf, -np.inf]
        np.testing.assert_allclose([abstainer.error_probability(s) for s in at], curve(at), atol=1e-12)

    def test_without_a_score_it_abstains(self, tmp_path):
        abstainer = loaded(make_policy(run(), "sar", TARGET, DELTA), tmp_path)
        for undefined in (None, float("nan"), float("-inf")):
            assert not abstainer.should_answer(undefined)
        assert np.isnan(abstainer.error_probability(None))
        assert np.isnan(abstainer.error_probability(float("nan")))

    def test_always_abstains_where_no_threshold_was_found(self, tmp_path):
        policy = make_policy(task_run([0] * 50, {"sar": np.arange(50.0)}), "sar", TARGET, DELTA)
        assert as_values(policy)["answer"] == "none"
        assert not loaded(policy, tmp_path).should_answer(-1e9)

    def test_always_answers_where_all_is_right(self, tmp_path):
        policy = make_policy(task_run([1] * 50, {"sar": np.arange(50.0)}), "sar", TARGET, DELTA)
        assert as_values(policy)["answer"] == "all"
        assert loaded(policy, tmp_path).should_answer(1e9)

    @pytest.mark.parametrize(
        ("content", "message"),
        [(None, "cannot be read"), ("{", "not valid JSON"), ("[]", "format 'list'"), ('{"format": "x"}', "format 'x'")],
    )
    def test_another_file_is_an_error(self, tmp_path, content, message):
        file = tmp_path / "a.json"
        if content is not None:
            file.write_text(content)
        with pytest.raises(UQHarnessError, match=f"{message}.*uq-harness threshold"):
            Abstainer.load(file)

    def test_it_is_at_the_top_and_importing_the_package_stays_light(self):
        assert uq_harness.Abstainer is Abstainer
        code = "import sys, uq_harness; print({'numpy', 'torch', 'scipy'} & set(sys.modules)); uq_harness.Abstainer; "
        code += "print({'torch', 'transformers', 'matplotlib', 'sklearn', 'lm_eval'} & set(sys.modules))"
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert shown.split("\n")[:2] == ["set()", "set()"]


class TestPolicy:
    def test_a_question_asked_twice_counts_once(self):
        once = run(100)
        twice = once.take(np.concatenate([np.arange(100), np.arange(30)]))
        policy = make_policy(twice, "sar", TARGET, DELTA)
        np.testing.assert_equal(policy.rule, make_policy(once, "sar", TARGET, DELTA).rule)
        assert policy.repeated == 30

    def test_coverage_interval_covers(self):
        inside = 0
        for seed in range(100):
            policy = make_policy(run(150, seed=seed), "sar", 0.35, 0.2)
            low, high = policy.coverage_interval
            inside += low <= min(max(policy.rule.threshold, 0), 1) <= high  # uniform scores: threshold is coverage
        assert inside >= 88

    def test_held_out_halves(self):
        held_out = make_policy(run(2000), "sar", TARGET, DELTA).held_out
        assert held_out.reachable == 1
        assert held_out.risk < TARGET
        assert 0.3 < held_out.coverage < 2 / 3
        assert held_out.calibration_error < 0.06
        assert sum(b.n for b in held_out.bins) == 2000

    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_very_few_answers(self, n):
        policy = make_policy(task_run([1] * n, {"sar": np.arange(float(n))}), "sar", TARGET, DELTA)
        assert not policy.rule.reachable
        json.dumps(as_values(policy), allow_nan=False)

    def test_undefined_scores_are_counted(self):
        scores = np.where(np.arange(200) % 10 == 0, np.nan, np.arange(200.0))
        written = as_values(make_policy(task_run(np.arange(200) < 150, {"sar": scores}), "sar", TARGET, DELTA))
        assert written["calibration"]["undefined_scores"] == 20
        assert written["calibration"]["answers"] == 200

    def test_a_method_without_any_score_is_an_error(self):
        with pytest.raises(UQHarnessError, match="sar is undefined for every answer"):
            make_policy(task_run([1, 0], {"sar": [np.nan, np.nan]}), "sar", TARGET, DELTA)
        with pytest.raises(UQHarnessError, match="no method 'semgard': it has sar"):
            make_policy(run(), "semgard", TARGET, DELTA)

    @pytest.mark.parametrize("correct", [np.arange(60) < 55, np.zeros(60), np.ones(60)])
    def test_pictures(self, tmp_path, correct):
        policy = make_policy(task_run(correct, {"sar": np.arange(60.0)}, task="a$b_$"), "sar", TARGET, DELTA)
        files = draw_reliability(policy, tmp_path / "reliability")
        assert [file.name for file in files] == ["reliability.png", "reliability.svg", "reliability.pdf"]
        assert files[0].read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in files[1].read_bytes()


class TestCommand:
    @pytest.fixture
    def call(self, monkeypatch, capsys):
        def call(*arguments, status=0):
            monkeypatch.setattr(sys, "argv", ["uq-harness", "threshold", *map(str, arguments)])
            with pytest.raises(SystemExit) as end:
                main()
            assert (end.value.code or 0) == status
            return "".join(capsys.readouterr())

        return call

    @pytest.fixture
    def results(self, tmp_path):
        write_run(tmp_path / "results", simulated(300, {"sar": 2.5, "g_nll": 0.1}))
        return tmp_path / "results"

    def test_writes_what_an_application_loads(self, call, results, tmp_path):
        shown = call(results, "--method", "sar", "--target", 0.2, "--output", tmp_path / "new" / "folder")
        assert "at most 20% of the answers given are wrong, with confidence 95%" in shown
        abstainer = Abstainer.load(tmp_path / "new" / "folder" / "threshold.json")
        scores = load_runs(results)[0].uncertainty["sar"]
        assert 0 < sum(map(abstainer.should_answer, scores)) < 300
        assert {file.name for file in (tmp_path / "new" / "folder").iterdir()} == {
            "threshold.json",
            "reliability.png",
            "reliability.svg",
            "reliability.pdf",
        }
        assert json.loads(call(results, "--method", "sar", "--target", 0.2, "--json"))["method"] == "sar"

    def test_no_threshold_is_a_finding(self, call, results, tmp_path):
        shown = call(results, "--method", "g_nll", "--target", 0.01, "--output", tmp_path, status=1)
        assert "always abstain" in shown
        assert json.loads((tmp_path / "threshold.json").read_text())["answer"] == "none"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--target", 0.1], "--methods is needed, since there are several: sar, g_nll"),
            (["--target", 0.1, "--method", "x"], "no method 'x'"),
            (["--target", 10, "--method", "sar"], "target is 10.0"),
            (["--target", 0.1, "--task", "uq_demo"], "no run fits --tasks uq_demo"),
        ],
    )
    def test_wrong_use_ends_with_status_2(self, call, results, arguments, message):
        assert message in call(results, *arguments, status=2)

    def test_several_runs_need_a_choice(self, call, results):
        write_run(results, simulated(300, {"sar": 2.5}), model="b")
        assert "say which: --model a-model --tasks uq_sciq" in call(results, "--target", 0.2, status=2)
        assert "Answered" in call(results, "--target", 0.2, "--model", "b")
