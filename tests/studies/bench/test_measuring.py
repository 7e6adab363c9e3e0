"""Taking turns, repeats and memory."""

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
    ways = [str(number) for number in range(n)]

    def answer(way: str, chunk: int) -> float:
        done.append((way, chunk))
        return float(len(done))

    found = list(interleaved(ways, answer, range(chunks), repeats))
    assert [one[:2] for one in found] == [(repeat, chunk) for repeat in range(repeats) for chunk in range(chunks)]
    rounds = [done[start : start + n] for start in range(0, len(done), n)]
    assert [{chunk for _, chunk in one} for one in rounds] == [{chunk} for _, chunk, _ in found]
    assert all({way for way, _ in one} == set(ways) for one in rounds)
    assert sorted(number for _, _, seconds in found for number in seconds.values()) == list(range(1, len(done) + 1))
    firsts = [one[0][0] for one in rounds]
    assert all(firsts[i] != firsts[i + 1] for i in range(len(firsts) - 1)) or n == 1


def test_a_way_that_fails_has_no_seconds_and_the_others_go_on() -> None:
    found = list(interleaved(["a", "b"], lambda way, chunk: None if way == "a" else 2.0, "xy", 1))
    assert found == [(0, 0, {"b": 2.0}), (0, 1, {"b": 2.0})]


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
