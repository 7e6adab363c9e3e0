"""Processor time and memory of a command in a process of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import NamedTuple


class Used(NamedTuple):
    """What a process used: seconds of processor time, and the most memory that it had, in MB."""

    seconds: float
    megabytes: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s of processor time, peak {self.megabytes:.0f} MB"


def run(command: Sequence[str], allowed: Sequence[int] = (0,)) -> Used:
    """Runs a command on one thread without showing what it prints.

    Args:
        command: The command.
        allowed: Exit statuses that are no failure.

    Raises:
        RuntimeError: It failed; the message has the end of what it told.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    child = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **threads}, text=True
    )
    assert child.stderr is not None
    told = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in allowed:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}: {told[-2000:]}")
    return Used(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
