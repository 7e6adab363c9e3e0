"""What an answer and its evidence cost: seconds of each stage and counts of the work, for a sample's record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


class Stopwatch:
    """Takes the seconds of the stages of one batch, and divides them among its examples.

    Args:
        examples: Number of examples in the batch.

    Attributes:
        shares: For each example its seconds by stage so far (``decode_seconds``, …); together they are the batch's.
    """

    def __init__(self, examples: int) -> None:
        self.shares: list[dict[str, float]] = [{} for _ in range(examples)]

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[Sequence[float]], None]]:
        """Adds the time spent inside to a stage.

        Every stage ends by reading numbers back from the device, so nothing of it is still under way then.

        Yields:
            What to call with each example's part of the work, in any unit; without it, all have equal parts.

        >>> watch = Stopwatch(2)
        >>> with watch.stage("decode") as divide:
        ...     divide([1, 3])
        >>> one, other = watch.shares
        >>> round(other["decode_seconds"] / one["decode_seconds"], 6)
        3.0
        """
        weights: list[float] = []
        start = time.perf_counter()
        yield weights.extend
        spent = time.perf_counter() - start
        if not sum(weights):
            weights = [1.0] * len(self.shares)
        for share, weight in zip(self.shares, weights, strict=True):
            share[f"{name}_seconds"] = share.get(f"{name}_seconds", 0.0) + spent * weight / sum(weights)
