"""examples/server.py as a process of its own: a hundred requests at a time get what each would get alone."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.support import read_questions
from uq_harness import Abstainer, UncertaintyModel
from uq_harness.demo import QUESTIONS

SERVER = Path(__file__).parents[2] / "examples" / "server.py"
ASKED = [row["question"] for row in read_questions(QUESTIONS)[:100]]
PROMPT = "Please directly answer the following question with one or few words:\n{question}"


@dataclass
class Server:
    """A running server, and what it has printed."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    address: str = ""
    begun: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        """Reads its lines; returns when it has ended."""
        assert self.process.stderr is not None
        with self.process.stderr as printed:
            for line in printed:
                self.lines.append(line)
                if found := re.search(r"running on (http://[\d.:]+)", line):
                    self.address = found[1]
                    self.begun.set()
        self.begun.set()

    def batches(self) -> list[int]:
        return [int(found[1]) for line in self.lines if (found := re.search(r"a batch of (\d+)", line))]


@contextmanager
def serving(*arguments: str) -> Iterator[Server]:
    command = [sys.executable, str(SERVER), "--device", "cpu", "--port", "0", "--log-level", "debug", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    server = Server(process)
    reader = threading.Thread(target=server.read)
    reader.start()
    try:
        server.begun.wait()
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        reader.join()


def ask_all(server: Server, questions: list[str]) -> list[httpx.Response]:
    """All questions at the same time."""

    async def ask() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=len(questions))
        async with httpx.AsyncClient(base_url=server.address, timeout=None, limits=limits) as client:
            return await asyncio.gather(*(client.post("/answer", json={"question": one}) for one in questions))

    return asyncio.run(ask())


def test_a_hundred_requests_share_batches_and_have_the_numbers_of_each_alone() -> None:
    settings = {"methods": "g_nll+semgrad", "prompt": PROMPT, "max_new_tokens": 150}
    model = UncertaintyModel.from_pretrained("demo", device="cpu", **settings)
    alone = [model.answer([asked])[0] for asked in ASKED]
    with serving("--methods", "g_nll+semgrad", "--batch-size", "16") as server:
        assert server.address, "".join(server.lines)
        replies = ask_all(server, ASKED)
        blank, shapeless = ask_all(server, [" "])[0], httpx.post(f"{server.address}/answer", json={"query": "Who?"})
        described = httpx.get(f"{server.address}/model").json()
    for reply, expected in zip(replies, alone, strict=True):
        found = reply.json()
        assert (found["question"], found["answer"]) == (expected.question, expected.text)
        assert found["uncertainty"] == pytest.approx(dict(expected.uncertainty), rel=1e-4)
    assert sum(server.batches()) == len(ASKED)
    assert max(server.batches()) <= 16
    assert len(server.batches()) < len(ASKED) / 4
    assert (blank.status_code, shapeless.status_code) == (422, 422)
    assert "question 1 is blank" in blank.json()["detail"]
    assert described["weights"] == model.describe()["weights"]
    assert server.process.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in "".join(server.lines)


def test_with_a_policy_it_abstains_and_refuses_another_model(read, tmp_path: Path) -> None:
    file = read("docs/thresholds.md").folder / "policy" / "threshold.json"
    policy = Abstainer.load(file)
    with serving("--policy", str(file)) as server:
        replies = [reply.json() for reply in ask_all(server, ASKED[:30])]
    given = [reply["answer"] is not None for reply in replies]
    assert given == [policy.should_answer(reply["uncertainty"]) for reply in replies]
    assert 0 < sum(given) < 30
    for reply in replies:
        assert reply["error_probability"] == pytest.approx(policy.error_probability(reply["uncertainty"]))
    content = json.loads(file.read_text(encoding="utf-8"))
    content["source"]["generation"]["max_gen_toks"] = 10
    (tmp_path / "other.json").write_text(json.dumps(content), encoding="utf-8")
    with serving("--policy", str(tmp_path / "other.json")) as server:
        server.process.wait()
    assert server.process.returncode == 1
    assert "max_new_tokens (10 in the run, 150 here)" in server.lines[-1]
