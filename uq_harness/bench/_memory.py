"""Memory in use at the peak of some work: the GPU's, or this process's on Linux."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

_PROCESS = Path("/proc/self")


def peak_megabytes(work: Callable[[], Any], device: torch.device) -> float | None:
    """Megabytes in use at the peak of some work, beyond those in use before it.

    ``None`` where the system does not tell: on a CPU, Linux alone lets a process forget its highest use.
    """
    _give_back()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return float(torch.cuda.max_memory_allocated(device) - before) / 1e6
    try:
        (_PROCESS / "clear_refs").write_text("5")  # forget the highest resident size so far
        resident = _kilobytes("VmRSS")
    except OSError:
        work()
        return None
    work()
    return max(0.0, _kilobytes("VmHWM") - resident) / 1e3


def _give_back() -> None:
    """Frees what nobody holds any more, so that it does not hide what comes next."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def _kilobytes(field: str) -> float:
    lines = (_PROCESS / "status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith(field)).split()[1])
