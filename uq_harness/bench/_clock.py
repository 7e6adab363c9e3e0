"""Taking time on a device that works on after a call has returned."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch


def wait() -> None:
    """Returns when the GPU, if there is one, has done all it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], Any]) -> float:
    """Seconds from the beginning of some work to its end on the device."""
    wait()
    start = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - start
