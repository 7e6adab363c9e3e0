"""How long commands take that load no model: their processor time against a typer program that does nothing.

    python benchmarks/start.py [--rounds 20]

By turns, each in a process of its own: the empty program, ``uq-harness --help``, ``--version`` and ``methods``. Ratios
are of the medians of user seconds. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

EMPTY = """
import typer
app = typer.Typer()
@app.command()
def nothing():
    pass
app()
"""


def main() -> None:
    """Measures, prints a line for each command and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.py"
        empty.write_text(EMPTY, encoding="utf-8")
        own = ("-m", "uq_harness")
        commands = {
            "empty typer program": (str(empty),),
            "--help": (*own, "--help"),
            "--version": (*own, "--version"),
            "methods": (*own, "methods"),
        }
        spent: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds + 1):  # the first one fills the file cache
            for name, arguments in commands.items():
                spent[name].append(_user_seconds(arguments))
    seconds = {name: float(np.median(values[1:])) for name, values in spent.items()}
    ratios = {name: seconds[name] / seconds["empty typer program"] for name in ("--help", "--version", "methods")}
    for name, value in seconds.items():
        print(f"{name:25} {1e3 * value:7.1f} ms")
    print(json.dumps({"rounds": rounds, "over_empty_program": ratios}))


def _user_seconds(arguments: tuple[str, ...]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


if __name__ == "__main__":
    main()
