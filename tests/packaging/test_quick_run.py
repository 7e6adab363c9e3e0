"""The whole way through an installed package, in a minute: the tests for the lowest versions of what it needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

METHODS = "default+sampling"


def command(*arguments: str, folder: Path) -> str:
    """Output of a program of this environment, which knows the package as it was installed."""
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "UQ_HARNESS_AUTOLOAD")}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**clean, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stock command wrote."""
    folder = tmp_path_factory.mktemp("run")
    arguments = f"pretrained=demo,dtype=float32,methods={METHODS},nli_model=lexical,similarity_model=lexical"
    output = command(
        *("lm_eval", "--model", "uq-hf", "--model_args", arguments, "--tasks", "uq_demo", "--apply_chat_template"),
        *("--device", "cpu", "--batch_size", "16", "--limit", "48", "--output_path", "out", "--log_samples"),
        folder=folder,
    )
    assert "auroc_semgrad" in output
    return folder


def test_the_stock_command_scores_every_answer(results: Path) -> None:
    (file,) = results.rglob("samples_uq_demo_*.jsonl")
    records = [json.loads(line)["doc"]["uq"] for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(records) == 48
    for record in records:
        assert {"semgrad", "g_nll", "semantic_entropy", "sar"} <= record["uncertainty"].keys()
        assert all(isinstance(score, float) for score in record["uncertainty"].values())


def test_a_report_and_a_threshold_come_of_it(results: Path) -> None:
    command("uq_harness", "report", "out", "--output", "report", folder=results)
    assert "SemGrad" in (results / "report" / "report.html").read_text(encoding="utf-8")
    assert list((results / "report").rglob("*.svg"))
    command(
        *("uq_harness", "threshold", "out", "--method", "semgrad", "--target", "0.5", "--output", "policy"),
        folder=results,
    )
    assert json.loads((results / "policy" / "threshold.json").read_text(encoding="utf-8"))["method"] == "semgrad"
