"""A batch's seconds are divided among its examples by their parts of the work, and none is lost."""

import time

import pytest

from uq_harness.evidence.cost import Stopwatch


def test_parts_of_the_work_and_equal_parts_without_any() -> None:
    watch = Stopwatch(3)
    start = time.perf_counter()
    with watch.stage("nli") as divide:
        divide([1, 0, 3])
    with watch.stage("decode"):
        pass
    with watch.stage("scoring") as divide:
        divide([0, 0, 0])
    passed = time.perf_counter() - start
    first, second, third = watch.shares
    assert third["nli_seconds"] == pytest.approx(3 * first["nli_seconds"])
    assert second["nli_seconds"] == 0
    assert first["decode_seconds"] == second["decode_seconds"] == third["decode_seconds"] > 0
    assert first["scoring_seconds"] == third["scoring_seconds"] > 0
    assert 0 < sum(sum(share.values()) for share in watch.shares) <= passed


def test_a_stage_may_have_several_parts() -> None:
    watch = Stopwatch(2)
    with watch.stage("scoring") as divide:
        divide([1, 0])
    (one, other) = (dict(share) for share in watch.shares)
    with watch.stage("scoring") as divide:
        divide([0, 1])
    assert watch.shares[0] == one
    assert watch.shares[1]["scoring_seconds"] > other["scoring_seconds"] == 0


def test_a_batch_without_examples() -> None:
    watch = Stopwatch(0)
    with watch.stage("nli") as divide:
        divide([])
    assert watch.shares == []
