"""Measuring several ways of doing the same, so that a noisy machine disturbs all of them alike."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

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
    """Frees what is no longer in use, so that it does not hide what comes next."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def _kilobytes(field: str) -> float:
    lines = (_PROCESS / "status").read_text().splitlines()
    return float(next(line for line in lines if line.startswith(field)).split()[1])


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


T = TypeVar("T")


def interleaved(
    ways: Mapping[str, Callable[[T], Any]],
    chunks: Sequence[T],
    repeats: int,
    *,
    clock: Callable[[Callable[[], Any]], float] = seconds_of,
    done: Callable[[], None] = lambda: None,
) -> dict[str, list[float]]:
    """Seconds of each way for all chunks, once a repeat.

    Every chunk goes through every way before the next chunk does, and the order of the ways moves on by one each time,
    so that none always comes first.

    Args:
        ways: The ways by name.
        chunks: Parts of the work.
        repeats: How often all is done.
        clock: Takes the time of a call.
        done: Called after each way of each chunk.

    >>> ticks = iter(range(100))
    >>> interleaved({"a": len, "b": len}, ["x", "y"], 2, clock=lambda work: next(ticks))
    {'a': [3.0, 11.0], 'b': [3.0, 11.0]}
    """
    names = list(ways)
    seconds = {name: [0.0] * repeats for name in names}
    turn = 0
    for repeat in range(repeats):
        for chunk in chunks:
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                seconds[name][repeat] += clock(lambda name=name, chunk=chunk: ways[name](chunk))  # type: ignore[misc]
                done()
            turn += 1
    return seconds
