"""What an answer and its evidence cost: seconds of each stage and counts of the work, for a sample's record."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Stopwatch:
    """Takes the seconds of named stages of one batch.

    Attributes:
        seconds: Seconds of each stage so far.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time spent inside to a stage.

        Every stage ends by reading numbers back from the device, so nothing of it is still under way then.
        """
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def shares(self, weights: Sequence[float]) -> list[dict[str, float]]:
        """The seconds of each stage, divided among the batch's examples in proportion to their weights.

        >>> watch = Stopwatch()
        >>> watch.seconds["decode"] = 3.0
        >>> watch.shares([1, 2])
        [{'decode_seconds': 1.0}, {'decode_seconds': 2.0}]
        """
        total = sum(weights)
        parts = [weight / total if total else 1 / len(weights) for weight in weights]
        return [{f"{stage}_seconds": part * spent for stage, spent in self.seconds.items()} for part in parts]
