"""Measuring several ways of doing the same, so that a noisy machine disturbs all of them alike."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import time
from collections.abc import Callable, Iterator, Sequence
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
    names: Sequence[str], seconds: Callable[[str, T], float | None], chunks: Sequence[T], repeats: int
) -> Iterator[tuple[int, int, dict[str, float]]]:
    """Seconds of each way for each chunk, chunk by chunk.

    Every chunk goes through every way before the next chunk does, and the order of the ways moves on by one each time,
    so that none always comes first.

    Args:
        names: The ways.
        seconds: Sends a chunk through a way; ``None`` where that failed.
        chunks: Parts of the work.
        repeats: How often all is done.

    Yields:
        Number of the repeat, number of the chunk, and the seconds of the ways that did not fail.

    >>> ticks = iter(range(100))
    >>> list(interleaved(["a", "b"], lambda way, chunk: next(ticks), ["x", "y"], 1))
    [(0, 0, {'a': 0, 'b': 1}), (0, 1, {'b': 2, 'a': 3})]
    """
    turn = 0
    for repeat in range(repeats):
        for number, chunk in enumerate(chunks):
            first = turn % len(names)
            found = {name: seconds(name, chunk) for name in [*names[first:], *names[:first]]}
            yield repeat, number, {name: spent for name, spent in found.items() if spent is not None}
            turn += 1
