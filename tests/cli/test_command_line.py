"""The commands as a user types them, in processes of their own."""

import json
import math
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEMO = shlex.split(
    "--model uq-hf --model_args "
    "pretrained=demo,dtype=float32,methods=all,nli_model=lexical,similarity_model=lexical "
    "--tasks uq_demo --apply_chat_template --device cpu --batch_size 8 --log_samples --output_path out"
)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}


def command(*arguments: str, folder: Path, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def table(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("|")]


def records(folder: Path) -> dict[int, dict]:
    lines = next(folder.rglob("samples_uq_demo_*.jsonl")).read_text(encoding="utf-8").splitlines()
    samples = [json.loads(line) for line in lines]
    return {sample["doc_id"]: sample["doc"]["uq"] for sample in samples}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[int, dict]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    output = command("uq_harness", "run", *DEMO, "--limit", "64", folder=folder)
    return table(output), records(folder / "out")


def scores(record: dict) -> dict[str, float]:
    """A record's scores; ``nan`` where one is undefined."""
    return {name: math.nan if value is None else value for name, value in record["uncertainty"].items()}


def assert_same(found: dict[int, dict], expected: dict[int, dict]) -> None:
    assert found.keys() == expected.keys()
    for number, record in found.items():
        assert record["token_ids"] == expected[number]["token_ids"]
        assert scores(record) == pytest.approx(scores(expected[number]), rel=1e-4, abs=1e-5, nan_ok=True)


def test_two_processes_give_what_one_gives(undisturbed: tuple[list[str], dict], tmp_path: Path) -> None:
    launcher = ["torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29517", "-m", "uq_harness", "run"]
    output = command(*launcher, *DEMO, "--limit", "64", folder=tmp_path)
    assert table(output) == undisturbed[0]
    assert_same(records(tmp_path / "out"), undisturbed[1])


def test_a_killed_run_goes_on_where_it_stopped(undisturbed: tuple[list[str], dict], tmp_path: Path) -> None:
    arguments = ["uq_harness", "run", *DEMO, "--limit", "64", "--use_cache", "cache"]
    run = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    cache = tmp_path / "cache_rank0.db"
    while run.poll() is None and answers_in(cache) < 16:
        time.sleep(0.02)  # polling another process, not waiting for a guess
    run.send_signal(signal.SIGKILL)
    run.wait()
    kept = answers_in(cache)
    assert 16 <= kept < 64
    output = command(*arguments, folder=tmp_path)
    assert f"Cached requests: {kept}, Requests remaining: {64 - kept}" in output
    assert table(output) == undisturbed[0]
    assert_same(records(tmp_path / "out"), undisturbed[1])


def answers_in(cache: Path) -> int:
    """Number of answers in a response cache, the stamp not counted."""
    if not cache.is_file():
        return 0
    try:
        with sqlite3.connect(f"file:{cache}?mode=ro", uri=True) as database:
            return database.execute("SELECT COUNT(*) FROM unnamed").fetchone()[0] - 1
    except sqlite3.OperationalError:
        return 0


def test_fewer_questions_than_processes_end_with_a_message(tmp_path: Path) -> None:
    launcher = ["torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29518", "-m", "uq_harness", "run"]
    output = command(*launcher, *DEMO, "--limit", "1", folder=tmp_path, status=1)
    assert "1 questions cannot be shared by 2 processes" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model_args", "pretrained=demo,methods=semgard"], "did you mean semgrad"),
        (["--model_args", "pretrained=demo,sp_token=first"], "sp_token='first' is not allowed"),
        (["--metadata", '{"data_files": "nowhere.jsonl"}'], "data file 'nowhere.jsonl' does not exist"),
    ],
)
def test_wrong_use_ends_with_status_2_and_no_traceback(tmp_path: Path, arguments: list[str], message: str) -> None:
    output = command("uq_harness", "run", *DEMO, *arguments, folder=tmp_path, status=2)
    assert message in output
    assert "Traceback" not in output


def test_demo_shows_the_command_the_table_the_risk_at_coverage_and_a_report(tmp_path: Path) -> None:
    output = command("uq_harness", "demo", "--output", "results", "--methods", "g_nll+semgrad", folder=tmp_path)
    assert "$ lm_eval --model uq-hf --model_args pretrained=demo,methods=g_nll+semgrad" in output
    assert "auroc_semgrad" in output
    assert "50% answered" in output
    assert "results/report/report.html" in output
    assert "<svg" in (tmp_path / "results" / "report" / "report.html").read_text(encoding="utf-8")
    assert len(records(tmp_path / "results")) > 100
    for noise in ("fatal: not a git repository", "Model parallel", "Loading weights", "Selected tasks"):
        assert noise not in output
    assert "Answering and scoring" in output


def test_methods_as_json(tmp_path: Path) -> None:
    described = {row["name"]: row for row in json.loads(command("uq_harness", "methods", "--json", folder=tmp_path))}
    assert described["semgrad"]["options"]["semgrad_norm"]["default"] == "l1"
    assert described["g_nll"]["default"]
    assert not described["p_true"]["default"]
    table = command("uq_harness", "methods", folder=tmp_path)
    places = [table.index(one) for one in ("greedy answer alone", "perplexity", "a further pass", "paragrad")]
    assert places == sorted(places)
    assert described["perplexity"]["group"] == "the greedy answer alone"
    assert described["perplexity"]["sets"] == ["cheap", "sampling_free", "all"]
    assert described["exact_match_rate"]["group"] == "samples"
    assert described["luq"]["group"] == "samples, and a model that compares them"
