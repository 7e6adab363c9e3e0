"""The stock ``lm_eval`` program in a fresh interpreter."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def stock(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """It has the start-up hook, and knows no tasks of lm_eval's own, which take seconds to list."""
    start = (
        "import sys, _uq_harness_autoload; _uq_harness_autoload.install();"
        "import lm_eval.tasks.manager as m;"
        "real = m.TaskManager.__init__;"
        "m.TaskManager.__init__ = lambda self, *a, **k: real(self, *a, **{**k, 'include_defaults': False});"
        "from lm_eval.__main__ import cli_evaluate; sys.argv[0] = 'lm_eval'; cli_evaluate()"
    )
    return subprocess.run(
        [sys.executable, "-c", start, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
