"""The stock ``lm_eval`` command, under every launcher: messages, interrupts, and the work that processes share."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_command_line import answers_in, records, table

ROOT = Path(__file__).parents[2]
DEMO = shlex.split(
    "--model uq-hf --tasks uq_demo --apply_chat_template --device cpu --batch_size 4 --log_samples --output_path out "
    "--model_args"
)
GOOD = [*DEMO, "pretrained=demo,dtype=float32"]
TORCHRUN = ["torch.distributed.run", "--master_port", "29531"]
ACCELERATE = ["accelerate.commands.accelerate_cli", "launch", "--cpu"]


def environment(folder: Path) -> dict[str, str]:
    """What a shell has, with the start-up file at work."""
    (folder / "sitecustomize.py").write_text((ROOT / "startup" / "uq_harness.pth").read_text())
    launchers = ("ACCELERATE_USE_CPU", "WORLD_SIZE", "LOCAL_RANK", "RANK", "MASTER_ADDR", "MASTER_PORT")
    clean = {name: value for name, value in os.environ.items() if name not in launchers}
    return {**clean, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}


def run(*arguments: str, folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "launcher", [[], [*TORCHRUN, "--nproc_per_node", "1", "-m"], [*ACCELERATE, "--num_processes", "1", "-m"]]
)
def test_wrong_use_is_a_sentence(launcher: list[str], tmp_path: Path) -> None:
    status, output = run(*launcher, "lm_eval", *DEMO, "pretrained=demo,methods=semgard", folder=tmp_path)
    assert "uq-harness: unknown method 'semgard': did you mean semgrad" in output
    assert "UQHarnessError" not in output
    if not launcher:  # the others add a traceback of their own, and a status
        assert status == 2
        assert "Traceback" not in output


@pytest.mark.parametrize("content", [b"rubbish", b"", b"SQLite format 3\0" + b"\0" * 200])
def test_a_damaged_cache_is_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "cache_rank0.db").write_bytes(content)
    status, output = run("lm_eval", *GOOD, "--limit", "2", "--use_cache", "cache", folder=tmp_path)
    if content:
        assert re.search(r"uq-harness: --use_cache cache_rank0.db is damaged \(.*delete it", output)
    assert status == (2 if content else 0)
    assert "Traceback" not in output


def test_two_processes_share_the_work_without_being_told(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    alone = run("lm_eval", *GOOD, "--limit", "16", folder=tmp_path / "one")
    launcher = [*TORCHRUN, "--nproc_per_node", "2", "-m", "lm_eval"]
    shared = run(*launcher, *GOOD, "--limit", "16", "--use_cache", "cache", folder=tmp_path / "two")
    assert (alone[0], shared[0]) == (0, 0), shared[1]
    assert table(shared[1]) == table(alone[1])
    assert [answers_in(tmp_path / "two" / f"cache_rank{rank}.db") for rank in (0, 1)] == [8, 8]
    assert records(tmp_path / "two" / "out").keys() == records(tmp_path / "one" / "out").keys()


def test_a_lone_worker_of_several_says_what_to_use(tmp_path: Path) -> None:
    launcher = [*ACCELERATE, "--num_processes", "2", "-m", "lm_eval"]
    status, output = run(*launcher, *GOOD, "--limit", "4", folder=tmp_path)
    assert status != 0
    assert "`accelerate launch --cpu` starts only one: use `torchrun --nproc_per_node N -m lm_eval ...`" in output


def heed_interrupts() -> None:
    """Undoes that a shell lets what it starts in the background ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("cache", [[], ["--use_cache", "cache"]])
def test_an_interrupted_run_says_how_to_go_on(cache: list[str], tmp_path: Path) -> None:
    arguments = [*GOOD, *cache]
    going = subprocess.Popen(
        [sys.executable, "-m", "lm_eval", *arguments],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    )
    assert going.stderr is not None
    told = b""
    while not re.search(rb"Answering and scoring: +[1-9]", told):
        told += (piece := going.stderr.read(1))
        assert piece, told.decode()
    going.send_signal(signal.SIGINT)
    told = going.communicate()[1]
    assert going.returncode == 130, told.decode()
    assert b"Traceback" not in told
    if not cache:
        assert b"uq-harness: interrupted; the answers so far are lost" in told
        return
    kept = answers_in(tmp_path / "cache_rank0.db")
    assert f"uq-harness: interrupted; the {kept} answers so far are kept in cache_rank0.db" in told.decode()
    assert kept > 0
