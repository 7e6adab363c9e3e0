"""Seconds of some work that other programs on the machine do not stretch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from uq_harness.studies.bench.interleaved import wait


def seconds_of(work: Callable[[], Any]) -> float:
    """Seconds of the processor, which other programs do not add to; with a GPU, those on the clock."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    wait()
    start = clock()
    work()
    wait()
    return clock() - start
