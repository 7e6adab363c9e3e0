"""docs/scoring_saved_answers.md: its commands run on its file as they stand there."""

import os
import subprocess
import sys
from pathlib import Path

from tests.docs.blocks import ROOT, blocks
from uq_harness.results import load_runs


def shell(command: str, folder: Path) -> str:
    program = folder / "bin" / "uq-harness"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m uq_harness "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_its_commands_run_on_its_file(tmp_path: Path) -> None:
    (lines,) = blocks("scoring_saved_answers.md", "json")
    (tmp_path / "answers.jsonl").write_text(lines, encoding="utf-8")
    first, again = blocks("scoring_saved_answers.md", "bash")
    output = shell(first, tmp_path)
    assert "answers, answers: 2 answers" in output
    assert "g_nll" in output
    shell(again, tmp_path)
    (run,) = load_runs(tmp_path / "rejudged")
    assert run.judge == "f1"
    assert set(run.uncertainty) == {"g_nll", "degree", "discrete_semantic_entropy", "self_consistency"}
