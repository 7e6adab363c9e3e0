"""``uq-api`` through stock lm_eval against the server, whatever is killed on the way."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

import uq_harness
from tests.real_server.asking import SERVED
from tests.real_server.server import VLLMServer, requires_vllm
from uq_harness.models import UQHFLM

pytestmark = requires_vllm
LIMIT = 12
DRAW_NOTHING = "g_nll+p_true+semantic_density"
SECONDS = 240


class Run:
    """A run of lm_eval's command line on the demo's questions.

    Args:
        server: The server it asks.
        folder: Where its results go.
        methods: Its methods.
        journal: Where it keeps replies.
    """

    def __init__(self, server: VLLMServer, folder: Path, methods: str, journal: Path) -> None:
        self.folder, self.journal = folder, journal
        model = (
            f"base_url={server.base_url},model={server.name},tokenizer=demo,num_concurrent=8,max_retries=1,seed=1,"
            f"methods={methods},nli_model=lexical,similarity_model=lexical,journal={journal}"
        )
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "lm_eval", "--model", "uq-api", "--model_args", model, "--tasks", "uq_demo"),
                *("--apply_chat_template", "--limit", str(LIMIT), "--output_path", str(folder), "--log_samples"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def replies(self) -> int:
        """Number of replies in its journal."""
        if not self.journal.exists():
            return 0
        with closing(sqlite3.connect(self.journal, timeout=60)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'replies'").fetchone():
                return 0
            return int(database.execute("SELECT count(*) FROM replies").fetchone()[0])

    def wait_for(self, replies: int) -> None:
        """Waits until so many replies are in its journal."""
        end = time.monotonic() + SECONDS
        while self.replies() < replies and time.monotonic() < end and self.process.poll() is None:
            time.sleep(0.05)
        assert self.process.poll() is None, self.output()

    def output(self) -> str:
        """What it printed, once it has ended."""
        text, _ = self.process.communicate(timeout=SECONDS)
        return text

    def results(self) -> dict[str, Any]:
        """The task's results, once it has ended well."""
        text = self.output()
        assert self.process.returncode == 0, text
        (file,) = self.folder.rglob("results_*.json")
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["results"]["uq_demo"]
        return found

    def records(self) -> list[dict[str, Any]]:
        """The records of the answers, in the order of the questions."""
        (file,) = self.folder.rglob("samples_*.jsonl")
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return [row["doc"]["uq"] for row in sorted(rows, key=lambda row: row["doc_id"])]


@pytest.fixture
def killed() -> Iterator[list[Run]]:
    """Runs of which none outlasts its test."""
    runs: list[Run] = []
    yield runs
    for run in runs:
        run.process.kill()
        run.process.wait()


def test_a_stock_run_comes_out_as_with_torch(server: VLLMServer, killed: list[Run], tmp_path: Path) -> None:
    run = Run(server, tmp_path, DRAW_NOTHING, tmp_path / "journal")
    killed.append(run)
    uq_harness.register()
    in_torch = UQHFLM(
        "demo", methods=DRAW_NOTHING, dtype="float32", device="cpu", nli_model="lexical", similarity_model="lexical"
    )
    own = simple_evaluate(
        in_torch, tasks=["uq_demo"], task_manager=TaskManager(), limit=LIMIT, apply_chat_template=True
    )
    found = run.results()
    for one, sample in zip(run.records(), own["samples"]["uq_demo"], strict=True):
        other = sample["doc"]["uq"]
        assert one["token_ids"] == other["token_ids"]
        assert one["uncertainty"] == pytest.approx(other["uncertainty"], abs=1e-4)
    expected = {
        name: value
        for name, value in own["results"]["uq_demo"].items()
        if name.startswith(("accuracy", "auroc", "prr")) and "stderr" not in name
    }
    assert {f"auroc_{name}" for name in DRAW_NOTHING.split("+")} <= {name.partition(",")[0] for name in expected}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_a_run_goes_on_after_client_and_server_were_killed(
    server: VLLMServer, killed: list[Run], tmp_path: Path
) -> None:
    """Nothing that was paid for is asked again, and the samples are those of a run that nothing befell."""
    whole = Run(server, tmp_path / "whole", SERVED, tmp_path / "whole.journal")
    killed.append(whole)
    whole.results()
    everything = whole.replies()

    def again(name: str) -> Run:
        killed.append(Run(server, tmp_path / name, SERVED, tmp_path / "journal"))
        return killed[-1]

    first = again("first")
    first.wait_for(everything // 4)
    first.process.kill()
    first.process.wait()
    assert first.replies() < everything

    second = again("second")
    second.wait_for(everything // 2)
    server.kill()
    assert server.base_url in second.output()
    assert second.process.returncode == 2
    kept = second.replies()
    assert everything // 2 <= kept < everything

    server.start()
    server.wait()
    last = again("last")
    last.results()
    for one, other in zip(last.records(), whole.records(), strict=True):
        assert one["answer"] == other["answer"]
        assert one["uncertainty"] == pytest.approx(other["uncertainty"], abs=1e-4)
    assert sum(record["cost"]["requests"] for record in last.records()) <= everything - kept + 10
