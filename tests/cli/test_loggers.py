"""lm_eval's own options for loggers, as a user types them, without a network."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_command_line import ENVIRONMENT

RUN = shlex.split(
    "run --model uq-hf --model_args pretrained=demo,methods=g_nll+exgrad --tasks uq_demo --limit 24 "
    "--apply_chat_template --device cpu --batch_size 8 --output_path out --log_samples"
)


def test_a_run_is_logged_to_wandb_and_trackio(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="needs wandb, which the extra dev brings")
    pytest.importorskip("trackio", reason="needs trackio, which the extra dev brings")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "TRACKIO_"))},
        **ENVIRONMENT,
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(tmp_path),
        "TRACKIO_DIR": str(tmp_path / "trackio"),
    }
    loggers = ["--wandb_args", "project=uncertainty", "--trackio_args", "project=uncertainty"]
    done = subprocess.run(
        [sys.executable, "-m", "uq_harness", *RUN, *loggers],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert "failed" not in told
    (logged,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    assert b"auroc_exgrad" in logged.read_bytes()
    assert list((tmp_path / "trackio").rglob("uncertainty*"))
    assert list(tmp_path.glob("out/demo/samples_uq_demo_*.jsonl"))
