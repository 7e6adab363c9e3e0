"""Taking turns, repeats and memory."""

import itertools
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uq_harness.studies.bench.interleaved import interleaved, peak_megabytes, seconds_of
from uq_harness.studies.bench.report import Spread


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
def test_every_way_does_every_chunk_once_a_repeat_before_the_next_chunk_comes(
    n: int, chunks: int, repeats: int
) -> None:
    done: list[tuple[str, int]] = []
    ways = {str(i): lambda chunk, i=i: done.append((str(i), chunk)) for i in range(n)}
    interleaved(ways, range(chunks), repeats, clock=lambda work: work() or 1.0)
    rounds = [done[start : start + n] for start in range(0, len(done), n)]
    assert [{chunk for _, chunk in one} for one in rounds] == [
        {chunk} for _ in range(repeats) for chunk in range(chunks)
    ]
    assert all({way for way, _ in one} == set(ways) for one in rounds)
    firsts = [one[0][0] for one in rounds]
    assert all(firsts[i] != firsts[i + 1] for i in range(len(firsts) - 1)) or n == 1


def test_seconds_are_summed_over_chunks_for_each_repeat() -> None:
    ticks = itertools.count(1)
    found = interleaved({"a": len, "b": len}, ["", ""], 2, clock=lambda work: float(next(ticks)))
    assert found == {"a": [1 + 4, 5 + 8], "b": [2 + 3, 6 + 7]}


def test_the_clock_takes_the_time_of_the_work() -> None:
    assert 0 < seconds_of(lambda: sum(range(1000))) < 60


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_spread_is_median_and_range(values: list[float]) -> None:
    found = Spread.of(values)
    assert found.median == pytest.approx(np.median(values))
    assert (found.lowest, found.highest) == (min(values), max(values))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell a process its peak")
def test_memory_is_that_at_the_peak_of_the_work_alone() -> None:
    held = np.ones(20_000_000)
    found = peak_megabytes(lambda: np.ones(8_000_000).sum(), torch.device("cpu"))
    assert found is not None
    assert 50 < found < 100
    del held
