"""``uq-harness score --model`` in processes of their own: shared, killed, and going on."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_command_line import ENVIRONMENT, command, records
from uq_harness.models.second_pass_store import PREFIX, SecondPassStore

LEXICAL = "nli_model=lexical,similarity_model=lexical"
FIRST = shlex.split(
    f"--model uq-hf --model_args pretrained=demo,dtype=float32,methods=g_nll,save_samples=eigenscore,{LEXICAL} "
    "--tasks uq_demo --apply_chat_template --device cpu --batch_size 8 --log_samples --output_path out --limit 40"
)
SECOND = shlex.split(
    "--model demo --model_args dtype=float32,device=cpu --methods semgrad+hybridgrad+eigenscore "
    "--correctness exact_match --batch_size 4 --output second"
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    command("uq_harness", "run", *FIRST, folder=folder)
    (found,) = (folder / "out").rglob("samples_*.jsonl")
    return found


@pytest.fixture(scope="module")
def alone(log: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("alone")
    output = command("uq_harness", "score", str(log), *SECOND, folder=folder)
    assert "the model differs from those recorded by" in output
    return records(folder / "second")


def assert_same(found: dict[int, dict], expected: dict[int, dict]) -> None:
    assert found.keys() == expected.keys()
    for number, record in found.items():
        assert record["uncertainty"].keys() == {"g_nll", "semgrad", "hybridgrad", "eigenscore"}
        assert record["uncertainty"] == pytest.approx(expected[number]["uncertainty"], rel=1e-4, abs=1e-5)


def test_two_processes_share_the_reading_and_one_writes(log: Path, alone: dict[int, dict], tmp_path: Path) -> None:
    launcher = ["torch.distributed.run", "--nproc_per_node", "2", "--master_port", "29543", "-m", "uq_harness", "score"]
    output = command(*launcher, str(log), *SECOND, "--json", folder=tmp_path)
    assert output.count('"second_pass"') == 1
    assert_same(records(tmp_path / "second"), alone)
    assert not list((tmp_path / "second").glob(f"{PREFIX}*"))


def test_a_killed_second_pass_goes_on_where_it_stopped(log: Path, alone: dict[int, dict], tmp_path: Path) -> None:
    """Also with another number of processes."""
    run = subprocess.Popen(
        [sys.executable, "-m", "uq_harness", "score", str(log), *SECOND, "--batch_size", "1"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (stores := list(tmp_path.glob(f"second/{PREFIX}*/rank0.sqlite"))) or stores[0].stat().st_size < 20_000:
        assert run.poll() is None, "the second pass has ended before it could be killed"
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    (folder,) = (tmp_path / "second").glob(f"{PREFIX}*")
    store = SecondPassStore.__new__(SecondPassStore)
    store.folder = folder
    kept = len(store.earlier())
    assert 0 < kept < 40
    output = command("uq_harness", "score", str(log), *SECOND, folder=tmp_path)
    assert f"going on; {kept} answers were read before" in output
    assert_same(records(tmp_path / "second"), alone)
    assert not folder.exists()


def test_the_json_has_how_well_the_model_agrees(log: Path, tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "uq_harness", "score", str(log), *SECOND, "--json", "--limit", "2"]
    done = subprocess.run(arguments, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    (found,) = json.loads(done.stdout)
    said = found["second_pass"]["logprob_difference"]
    assert said["mean"] <= said["worst"] < 1e-5
    assert said["tokens"] > 0


def test_arguments_of_a_model_without_one(log: Path, tmp_path: Path) -> None:
    output = command("uq_harness", "score", str(log), "--model_args", "dtype=float32", folder=tmp_path, status=2)
    assert "belong to a model that reads the answers: give --model" in output
