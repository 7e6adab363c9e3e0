"""What a candidate lost fails the gate, in every output, with the reason."""

import json
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from tests.results.files import record, sample, simulated, task_run, write_run
from uq_harness.cli import main
from uq_harness.comparison.compare import compare_runs
from uq_harness.comparison.markdown import markdown
from uq_harness.errors import UQHarnessError

METHODS = {"semgrad": 1.5, "g_nll": 1.0}
N = 252


def without_scores(lines, kept=0):
    for line in lines[kept:]:
        line["doc"]["uq"]["uncertainty"] = dict.fromkeys(METHODS)


def without_methods(lines):
    for line in lines:
        line["doc"]["uq"]["uncertainty"] = {}


def without_verdicts(lines, kept):
    for line in lines[kept:]:
        del line["doc"]["uq"]["correct"]


# What happened to the candidate, what it is called, and the reason that is given.
LOST = {
    "every score": (
        without_scores,
        "scores",
        "the candidate has no score of semgrad for 252 of the 252 answers that the baseline scores",
    ),
    "every method": (without_methods, "method", "the candidate does not have the method semgrad"),
    "all but 10 questions": (
        lambda lines: lines.__delitem__(slice(10, None)),
        "questions",
        "the candidate did not answer 242 of the baseline's 252 questions",
    ),
    "all but 1 question": (
        lambda lines: lines.__delitem__(slice(1, None)),
        "questions",
        "the candidate did not answer 251 of the baseline's 252 questions",
    ),
    "all but 10 verdicts": (
        lambda lines: without_verdicts(lines, 10),
        "verdicts",
        "the candidate has no verdict on 242 of the baseline's 252 questions",
    ),
    "all but 12 scores": (
        lambda lines: without_scores(lines, 12),
        "scores",
        "the candidate has no score of semgrad for 240 of the 252 answers",
    ),
}


@pytest.fixture
def gate(monkeypatch, capsys, tmp_path):
    """Runs the gate on two folders; returns its status, and what stands in each output."""

    def gate(baseline, candidate, *options):
        files = {"--markdown": tmp_path / "c.md", "--junit": tmp_path / "c.xml"}
        words = ["compare", baseline, candidate, "--fail_on_regression", *options]
        words += [part for pair in files.items() for part in pair]
        said = []
        for json_too in ((), ("--json",)):
            monkeypatch.setattr(sys, "argv", ["uq-harness", *map(str, [*words, *json_too])])
            with pytest.raises(SystemExit) as end:
                main()
            said.append(capsys.readouterr().out)
        written = files["--markdown"].read_text(encoding="utf-8")
        assert said[0] == written
        return end.value.code or 0, written, json.loads(said[1]), ElementTree.parse(files["--junit"]).getroot()

    return gate


@pytest.fixture
def sides(tmp_path):
    """A baseline, and a candidate that something has happened to."""

    def sides(change=lambda lines: None):
        lines = simulated(N, METHODS)
        write_run(tmp_path / "base", lines)
        change(lines)
        write_run(tmp_path / "cand", lines)
        return tmp_path / "base", tmp_path / "cand"

    return sides


@pytest.mark.parametrize("lost", LOST)
def test_a_candidate_that_lost_something_fails_with_the_reason(gate, sides, lost):
    change, what, reason = LOST[lost]
    status, text, values, suites = gate(*sides(change))
    assert status == 1
    assert text.startswith("## ❌ Not comparable\n")
    assert "No regression" not in text
    assert reason in text
    assert (values["passed"], values["regression"]) == (False, False)
    assert {loss["what"] for loss in values["losses"]} == {what}
    assert any(loss["reason"].startswith(reason) for loss in values["losses"])
    failures = [failure.get("message") for failure in suites.iter("failure")]
    assert any(message.startswith(reason) for message in failures)
    assert int(suites.get("failures")) == len(failures)


def test_an_equal_candidate_passes(gate, sides):
    status, text, values, suites = gate(*sides())
    assert status == 0
    assert text.startswith("## ✅ No regression was shown\n")
    assert (values["passed"], values["losses"], suites.get("failures")) == (True, [], "0")


@pytest.mark.parametrize(
    ("lost", "options"),
    [
        ("all but 10 questions", ["--min_common", "0.03"]),
        ("all but 10 verdicts", ["--min_common", "0.03"]),
        ("all but 12 scores", ["--min_scored", "0.04"]),
    ],
)
def test_how_much_may_be_lost_is_an_option(gate, sides, lost, options):
    assert gate(*sides(LOST[lost][0]), *options)[0] == 0


@pytest.mark.parametrize(("kept", "status"), [(240, 0), (239, 1)])
def test_the_least_share_is_allowed(gate, sides, kept, status):
    found = gate(*sides(lambda lines: lines.__delitem__(slice(kept, None))), "--min_common", str(240 / N))
    assert found[0] == status


@pytest.mark.parametrize("option", ["--min_common", "--min_scored"])
@pytest.mark.parametrize("share", ["-0.1", "1.1", "nan"])
def test_a_share_lies_between_0_and_1(sides, option, share, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["uq-harness", "compare", *map(str, sides()), f"{option}={share}"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "must be a share from 0 to 1" in capsys.readouterr().err


def test_a_method_that_is_left_out_cannot_be_lost(gate, sides):
    def without_semgrad(lines):
        for line in lines:
            del line["doc"]["uq"]["uncertainty"]["semgrad"]

    runs = sides(without_semgrad)
    assert gate(*runs)[0] == 1
    assert gate(*runs, "--methods", "g_nll")[0] == 0


def test_a_lost_task_fails(gate, tmp_path):
    lines = simulated(N, METHODS)
    for side in ("base", "cand"):
        write_run(tmp_path / side, lines)
    write_run(tmp_path / "base", lines, task="uq_triviaqa", date="2026-05-05T12-00-00")
    status, text, values, suites = gate(tmp_path / "base", tmp_path / "cand")
    assert status == 1
    assert "- the candidate does not have the run a-model, uq_triviaqa, exact_match" in text
    assert [loss["what"] for loss in values["losses"]] == ["task"]
    assert suites.get("failures") == "1"


def test_a_measure_that_only_the_baseline_has_fails():
    random = np.random.default_rng(0)
    scores = {"sar": random.normal(size=60)}
    mixed, right = np.arange(60) % 2, np.ones(60, dtype=int)
    (loss,) = compare_runs([task_run(mixed, scores)], [task_run(right, scores)]).tasks[0].losses
    assert loss.reason == "sar AUROC is defined for the baseline, and not for the candidate"


def test_nothing_to_test_on_either_side_is_no_pass():
    run = task_run([1] * 30, {"sar": np.arange(30.0)})
    found = compare_runs([run], [run])
    assert [loss.reason for _, loss in found.losses] == [
        "no method can be tested: too few right or wrong answers have a score"
    ]
    assert "No regression" not in markdown(found)


def test_accuracy_alone_can_be_compared():
    run = task_run([0, 1] * 30, {})
    assert compare_runs([run], [run]).passed


def test_verdicts_that_the_baseline_lacks_are_named():
    keys = tuple(f"q{i}" for i in range(60))
    whole = task_run([0, 1] * 30, {"sar": np.arange(60.0)}, keys=keys)
    part = task_run([0, 1] * 15, {"sar": np.arange(30.0)}, keys=keys[:30], unjudged=keys[30:])
    (loss,) = compare_runs([part], [whole]).tasks[0].losses
    assert (loss.what, loss.reason) == (
        "verdicts",
        "the baseline has no verdict on 30 of 60 questions that both answered",
    )


def test_new_questions_and_methods_of_the_candidate_are_no_loss():
    base = task_run([0, 1] * 20, {"sar": np.arange(40.0)})
    more = task_run([0, 1] * 30, {"sar": np.arange(60.0), "degree": np.arange(60.0)})
    assert compare_runs([base], [more]).passed


def test_a_regression_is_told_before_a_loss(gate, tmp_path):
    write_run(tmp_path / "base", [sample(i, record(1, {"sar": i, "g_nll": i})) for i in range(100)])
    write_run(tmp_path / "cand", [sample(i, record(i % 2, {"sar": i})) for i in range(100)])
    status, text, values, _ = gate(tmp_path / "base", tmp_path / "cand")
    assert (status, values["regression"]) == (1, True)
    assert text.startswith("## ❌ Regression\n")
    assert "the candidate does not have the method g_nll" in text


class TestRunsOfOtherSettings:
    def test_several_on_one_side_are_refused_with_what_tells_them_apart(self, tmp_path):
        from uq_harness.results.load import load_runs

        lines = simulated(30, METHODS)
        write_run(tmp_path / "base", lines)
        for day, shots in enumerate((0, 3), 1):
            write_run(tmp_path / "cand", lines, date=f"2026-05-0{day}T12-00-00", settings={"num_fewshot": shots})
        with pytest.raises(UQHarnessError, match=r"the candidate has several runs of a-model.*num_fewshot=3.*one"):
            compare_runs(load_runs(tmp_path / "base"), load_runs(tmp_path / "cand"))

    def test_what_differs_is_listed(self, gate, tmp_path):
        lines = simulated(60, METHODS)
        write_run(tmp_path / "base", lines)
        write_run(tmp_path / "cand", lines, system_instruction="Be brief.", chat_template_sha="0123456789")
        _, text, values, _ = gate(tmp_path / "base", tmp_path / "cand")
        assert values["tasks"][0]["settings_that_differ"] == {
            "system_instruction": [None, "Be brief."],
            "chat_template": [None, "01234567"],
        }
        assert "system_instruction None → 'Be brief.'" in text


class TestPower:
    def test_every_output_says_what_could_have_been_found(self, gate, tmp_path):
        for side, seed in (("base", 0), ("cand", 1)):
            write_run(tmp_path / side, simulated(N, METHODS, seed=seed))
        _, text, values, suites = gate(tmp_path / "base", tmp_path / "cand")
        rows = values["tasks"][0]["comparisons"]
        listed = ", ".join(
            f"{name} {100 * row['detectable']:.1f}"
            for name, row in zip(("accuracy", "`semgrad` AUROC", "`g_nll` AUROC"), rows, strict=True)
        )
        assert f"Changes for the worse that are found with 80 % probability, in points: {listed}." in text
        said = suites.find(".//testcase[@name='accuracy']/system-out").text
        assert f"{rows[0]['detectable']:.4f} would be found with probability 0.8" in said

    def test_little_power_is_no_tick(self, gate, tmp_path):
        for side, seed in (("base", 0), ("cand", 1)):
            write_run(tmp_path / side, simulated(40, METHODS, seed=seed))
        status, text, values, _ = gate(tmp_path / "base", tmp_path / "cand")
        assert (status, values["passed"], values["low_power"]) == (0, True, True)
        assert text.startswith("## ⚠️ No regression was shown, but a large one could be missed\n")
        smallest, largest = values["detectable"]
        assert f"about {100 * smallest:.1f} points in " in text
        assert f", {100 * largest:.1f} points in " in text
        assert "more questions or fewer rows" in text

    def test_a_change_of_that_size_is_found_as_often_as_it_says(self):
        """Scores that tell right from wrong less well, by as much as is called detectable."""
        rounds, n = 400, 4000
        random = np.random.default_rng(0)
        right = np.arange(n) % 2

        def side(gap):
            return task_run(right, {"sar": random.normal(size=n) - gap * right})

        def auroc_of(gap):
            return norm.cdf(gap / np.sqrt(2))

        gap = 1.0
        drop = np.mean([compare_runs([side(gap)], [side(gap)]).rows[1].detectable for _ in range(20)])
        smaller = np.sqrt(2) * norm.ppf(auroc_of(gap) - drop)
        found = sum(compare_runs([side(gap)], [side(smaller)]).regression for _ in range(rounds))
        assert binomtest(found, rounds, 0.8).pvalue > 0.001

    def test_equal_sides_tell_nothing_of_methods(self):
        run = task_run([0, 1] * 30, {"sar": np.arange(60.0)})
        accuracy, sar = compare_runs([run], [run]).rows
        assert accuracy.detectable > 0
        assert np.isnan(sar.detectable)
