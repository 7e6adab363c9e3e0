"""The command over runs of the demo model: the same model again, and the same model with damaged weights."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.comparison.models import damage
from uq_harness.cli.run import run_lm_eval
from uq_harness.demo import MODEL_DIR

ROOT = Path(__file__).parents[2]
METHODS = "g_nll+ln_pe+semantic_entropy+degree+self_consistency"


def evaluate(model: str | Path, output: Path, seed: int) -> Path:
    options = f"dtype=float32,methods={METHODS},nli_model=lexical,seed={seed}"
    run_lm_eval(
        [
            *("--model", "uq-hf", "--model_args", f"pretrained={model},{options}", "--tasks", "uq_demo"),
            *("--apply_chat_template", "--batch_size", "16", "--device", "cpu", "--limit", "64"),
            *("--output_path", str(output), "--log_samples"),
        ]
    )
    return output


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    return evaluate("demo", tmp_path_factory.mktemp("baseline"), seed=1)


def compare(*arguments: object, status: int) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "uq_harness", "compare", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done


def test_another_seed_is_no_false_alarm(baseline, tmp_path):
    again = evaluate("demo", tmp_path / "again", seed=2)
    found = json.loads(compare(baseline, again, "--fail_on_regression", "--json", status=0).stdout)
    assert found["regression"] is False
    task = found["tasks"][0]
    assert {row["verdict"] for row in task["comparisons"]} == {"unchanged"}
    assert any(row["difference"] for row in task["comparisons"])  # the seed did change something
    assert task["settings_that_differ"] == {"seed": [1, 2]}


def test_damaged_weights_are_found(baseline, tmp_path):
    damaged = evaluate(damage(MODEL_DIR, tmp_path / "damaged", noise=0.5), tmp_path / "results", seed=1)
    files = "--markdown", tmp_path / "reports" / "a.md", "--junit", tmp_path / "reports" / "a.xml"
    shown = compare(baseline, damaged, "--fail_on_regression", *files, status=1).stdout
    assert shown.startswith("## ❌ Regression")
    assert (tmp_path / "reports" / "a.md").read_text(encoding="utf-8").strip() == shown.strip()
    failed = ElementTree.parse(tmp_path / "reports" / "a.xml").getroot().findall(".//testcase[failure]")
    assert "accuracy" in [case.get("name") for case in failed]
    compare(baseline, damaged, status=0)  # told, not failed, unless asked to


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "'nowhere' does not exist"),
        (["{baseline}", "--allow_different", "seed"], "it takes version, prompt, judge or split"),
        (["{baseline}", "--alpha", "0"], "alpha is 0.0"),
    ],
)
def test_wrong_use_ends_with_status_2_and_no_traceback(baseline, arguments, message):
    done = compare(baseline, *(argument.format(baseline=baseline) for argument in arguments), status=2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
