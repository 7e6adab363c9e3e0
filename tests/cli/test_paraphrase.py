"""``uq-harness paraphrase`` as a user types it, with the demo model behind ``transformers serve``."""

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_command_line import ENVIRONMENT, command
from uq_harness.correctness.base import build_judge
from uq_harness.demo import MODEL_DIR, QUESTIONS


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The options for the demo model, which samples here as endpoints do."""
    folder = tmp_path_factory.mktemp("served") / "demo"
    shutil.copytree(MODEL_DIR, folder)
    generation = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**generation, "do_sample": True}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["serve", str(folder), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    log = (folder / "serve.log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "transformers.cli.transformers", *arguments], stdout=log, stderr=log, env=ENVIRONMENT
    )
    try:
        while not answers(f"http://127.0.0.1:{port}/health"):
            assert server.poll() is None, (folder / "serve.log").read_text()
            time.sleep(0.05)  # polling another process, not waiting for a guess
        yield ["--model", str(folder), "--base_url", f"http://127.0.0.1:{port}/v1"]
    finally:
        server.terminate()
        server.wait()
        log.close()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


def rows(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


# the file, not the task: that would need lm_eval, which takes seconds to import
MAKE = ["uq_harness", "paraphrase", "--questions", str(QUESTIONS), "--n", "2", "--rounds", "20", "--temperature", "1.5"]


def test_a_killed_run_loses_nothing_and_goes_on(served: list[str], tmp_path: Path) -> None:
    arguments = [*MAKE, "--limit", "12", "--output", "p.jsonl", "--concurrency", "2", *served]
    run = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    file = tmp_path / "p.jsonl"
    while run.poll() is None and (not file.is_file() or file.read_bytes().count(b"\n") < 3):
        time.sleep(0.005)  # polling another process, not waiting for a guess
    run.send_signal(signal.SIGKILL)
    run.wait()
    kept = {row["id"]: row["paraphrases"] for row in map(json.loads, whole_lines(file))}
    assert 3 <= len(kept) < 12
    with file.open("a") as half:
        half.write('{"id": "demo-11", "question": "Wh')
    output = command(*arguments, "--json", folder=tmp_path)
    summary = json.loads(output[output.index("{\n") : output.rindex("}") + 1])
    assert summary["known_before"] == len(kept)
    assert summary["short"] == {}
    found = rows(file)
    asked = rows(Path(QUESTIONS))[:12]
    assert [(row["id"], row["answers"]) for row in found] == [(row["id"], row["answers"]) for row in asked]
    assert all(len(set(row["paraphrases"])) == 2 for row in found)
    assert all(row["paraphrases"] == kept[row["id"]] for row in found if row["id"] in kept)


def whole_lines(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8")
    return text[: text.rfind("\n") + 1].splitlines()


def test_paraphrases_of_a_file_are_made_and_validated(served: list[str], tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text('{"question": "Which city is the capital of Foloria?"}\n')
    making = ["uq_harness", "paraphrase", "--questions", "own.jsonl", "--n", "1", "--output", "p.jsonl"]
    assert "1 of 1 questions have 1 paraphrases" in command(*making, *served, folder=tmp_path)
    assert set(rows(tmp_path / "p.jsonl")[0]) == {"id", "question", "paraphrases"}
    judging = ["uq_harness", "paraphrase", "--validate", "p.jsonl", "--nli_model", "lexical", "--cache", "r.sqlite"]
    output = command(*judging, *served, "--output", "rows.jsonl", "--json", folder=tmp_path)
    found = json.loads(output[output.index("{\n") : output.rindex("}") + 1])
    assert found["paraphrases"] == 1
    assert found["shares"]["nli"]["total"] == 1
    assert found["shares"]["chat"]["undefined"] == 1  # the demo model never says yes or no
    assert found["paper"] == {"nli": 0.9008, "chat": 0.9872}
    assert len(rows(tmp_path / "rows.jsonl")) == 1
    table = command(*judging, folder=tmp_path)
    assert "90.08" in table
    assert "No chat judge was asked" in table


def test_what_could_not_be_had_is_a_finding(served: list[str], tmp_path: Path) -> None:
    once = ["uq_harness", "paraphrase", "--questions", str(QUESTIONS), "--n", "50", "--rounds", "1", "--limit", "1"]
    output = command(*once, "--output", "p.jsonl", *served, folder=tmp_path, status=1)
    assert "0 of 1 questions have 50 paraphrases" in output
    assert "only 1: " in output


def test_the_demo_model_as_judge_reaches_no_verdict(
    served: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"model": served[1], "base_url": served[3], "cache": str(tmp_path / "r.sqlite")}
    judge = build_judge({"name": "llm_judge", **options})
    judge.prepare()
    scores = judge.score(["Which city is the capital of Foloria?"] * 2, ["Nirfield", "Trorgate"], [["Nirfield"]] * 2)
    assert all(map(math.isnan, scores))
    assert "2 of 2 replies begin with neither yes nor no" in caplog.text


def test_a_model_that_is_not_there_is_found_before_the_work(served: list[str], tmp_path: Path) -> None:
    output = command(*MAKE, "--output", "p.jsonl", "--model", "gpt-none", *served[2:], folder=tmp_path, status=2)
    assert f"it lists the models {served[1]}" in output
    assert not (tmp_path / "p.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "m", "--output", "p"], "either --tasks uq_sciq or --questions"),
        (["--task", "uq_demo", "--questions", "q", "--model", "m", "--output", "p"], "either --tasks"),
        (["--task", "uq_demo", "--model", "m"], "--output paraphrases.jsonl"),
        (["--questions", "q", "--output", "./q", "--model", "m"], "are the same file"),
        (["--task", "uq_demo", "--output", "p"], "name the chat model with --model"),
        (["--task", "uq_demo", "--output", "p", "--model", "m", "--metadata", "{"], "is not valid JSON"),
        (["--task", "uq_demo", "--output", "p", "--model", "m", "--metadata", "[]"], "not a JSON object"),
        (["--questions", "q", "--output", "p", "--model", "m", "--metadata", "{}"], "belong to --tasks"),
        (["--task", "uq_demo", "--output", "p", "--model", "m", "--cache", "c"], "belong to --validate"),
        (["--validate", "q", "--task", "uq_demo"], "leave out --tasks"),
        (["--validate", "nowhere.jsonl", "--nli_model", "lexical"], "nowhere.jsonl"),
        (["--task", "uq_demo", "--output", "p", "--model", "m", "--timeout", "0"], "timeout=0"),
        (
            ["--task", "uq_demo", "--output", "p", "--model", "m", "--base_url", "http://127.0.0.1:9/v1"],
            "127.0.0.1:9/v1",
        ),
    ],
)
def test_wrong_use_ends_with_status_2_and_no_traceback(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from uq_harness.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["uq-harness", "paraphrase", *arguments, "--retries", "0"])
    monkeypatch.setitem(os.environ, "OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
