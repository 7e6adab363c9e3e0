"""Measuring several ways of doing the same, so that a noisy machine disturbs all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from uq_harness.bench._clock import seconds_of

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
