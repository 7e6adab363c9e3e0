"""A comparison as Markdown, JUnit XML and JSON."""

import json
import math
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.results.files import task_run
from uq_harness.comparison.compare import compare_runs
from uq_harness.comparison.json import as_values
from uq_harness.comparison.junit import junit
from uq_harness.comparison.markdown import markdown


@pytest.fixture(scope="module")
def comparison():
    """Accuracy fell, one method is undefined, one unchanged, one on either side only; names are hostile."""
    random = np.random.default_rng(0)
    n = 100
    right, wrong = random.random(n) < 0.9, random.random(n) < 0.3
    shared = random.normal(size=n)
    nothing = np.full(n, np.nan)
    a = task_run(right, {"g_nll": shared, "sar": nothing, "p_true": shared}, model="a|b <b>@all\x1b[31m")
    b = task_run(wrong, {"g_nll": shared, "sar": nothing, "degree": shared}, model="c\n# d")
    return compare_runs([a], [b])


def test_markdown_tells_the_outcome_first_and_then_every_row(comparison):
    lines = markdown(comparison).splitlines()
    assert lines[0] == "## ❌ Regression"
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + 3
    assert table[2].startswith("| accuracy | ")
    assert table[2].endswith(" | ❌ worse |")
    assert table[4] == "| `sar` AUROC | – | – | – (– to –) | – | undefined |"
    assert {line.replace(r"\|", "").count("|") for line in table} == {7}


def test_markdown_escapes_what_files_say(comparison):
    text = markdown(comparison)
    assert "a&#124;b &#60;b&#62;&#64;all⟨U+001B⟩&#91;31m → c↵&#35; d, 100 questions" in text
    assert "\x1b" not in text


def test_markdown_notes_what_is_missing(comparison):
    text = markdown(comparison)
    assert "Only in the baseline: `p_true`" in text
    assert "Only in the candidate: `degree`" in text
    assert "Questions without a score on both sides: `sar` 100" in text
    assert "right or wrong answers" not in text


def test_markdown_warns_of_few_answers_of_a_class():
    run = task_run([0] * 4 + [1] * 40, {"g_nll": np.arange(44.0)})
    assert "fewer than 10 right or wrong answers" in markdown(compare_runs([run], [run]))


def test_junit_counts_what_it_holds(comparison):
    root = ElementTree.fromstring(junit(comparison).encode())
    suite = root.find("testsuite")
    cases = {case.get("name"): case for case in suite}
    assert list(cases) == ["accuracy", "g_nll AUROC", "sar AUROC", "degree", "p_true"]
    for element in (root, suite):
        assert [element.get(name) for name in ("tests", "failures", "skipped", "errors")] == ["5", "2", "2", "0"]
    assert cases["accuracy"].find("failure").get("type") == "regression"
    assert cases["p_true"].find("failure").get("message") == "the candidate does not have the method p_true"
    assert cases["degree"].find("skipped").get("message") == "the baseline does not have this method"
    assert cases["g_nll AUROC"].find("system-out").text.startswith("unchanged: g_nll AUROC")


def test_junit_tells_how_long_each_test_took(comparison):
    root = ElementTree.fromstring(junit(comparison).encode())
    suite = root.find("testsuite")
    seconds = [float(case.get("time")) for case in suite]
    assert seconds[0] > 0
    assert float(suite.get("time")) == pytest.approx(sum(seconds), abs=1e-5)
    assert "seconds" not in json.dumps(as_values(comparison))


def test_json_holds_everything_and_no_nan(comparison):
    values = json.loads(json.dumps(as_values(comparison), allow_nan=False))
    assert values["regression"] is True
    assert values["passed"] is False
    assert values["losses"] == [
        {
            "run": "uq_sciq (exact_match)",
            "what": "method",
            "method": "p_true",
            "reason": "the candidate does not have the method p_true",
        }
    ]
    task = values["tasks"][0]
    assert [row["verdict"] for row in task["comparisons"]] == ["worse", "unchanged", "undefined"]
    assert task["comparisons"][2]["p_value"] is None
    assert task["comparisons"][0]["difference"] == pytest.approx(comparison.rows[0].difference)
    assert math.isclose(sum(task["comparisons"][0]["interval"]), sum(comparison.rows[0].interval))
    assert task["methods_only_in_baseline"] == ["p_true"]
