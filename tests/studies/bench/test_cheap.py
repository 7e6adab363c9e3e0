"""benchmarks/cheap.py: what the scores of the decoding pass add to it."""

import json
import subprocess
import sys

import pytest

from tests.docs.blocks import ROOT


def test_every_way_is_measured_in_every_round() -> None:
    words = ["--limit", "4", "--batch-size", "2", "--rounds", "2", "--ways", "rauq,cheap"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "cheap.py", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["questions"], result["batch_size"], result["rounds"]) == (4, 2, 2)
    over = result["over_greedy"]
    assert list(over) == ["greedy", "greedy again", "rauq", "cheap"]
    assert over["greedy"]["rounds"] == [1, 1]
    for row in over.values():
        assert len(row["rounds"]) == 2
        assert row["worst"] == pytest.approx(max(row["rounds"]))
        assert min(row["rounds"]) > 0
