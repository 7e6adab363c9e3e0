"""docs/thresholds.md: its commands run, and its Python shows what it says."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "thresholds.md"


def test_the_page_from_run_to_application(tmp_path, monkeypatch):
    commands = re.search(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)[1]
    paths = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-ec", commands],
        cwd=tmp_path,
        env={**os.environ, **paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "at most 0.2 of the answers given are wrong, with confidence 0.9" in done.stdout
    assert {file.name for file in (tmp_path / "policy").iterdir()} == {
        "threshold.json",
        "reliability.png",
        "reliability.svg",
    }
    monkeypatch.chdir(tmp_path)
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted > 4
    assert found.failed == 0
