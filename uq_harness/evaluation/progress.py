"""The bar of what comes after the last answer: the bootstrap of every method, minutes with many answers and methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from uq_harness.rendering.bar import bar_if_slow


class AggregationBar:
    """Counts the methods whose metrics are done, and the time that is left; nothing appears where that is quick.

    Args:
        task: The task's name.
    """

    def __init__(self, task: str) -> None:
        self._task = task
        self._bar: Any = None

    def counting(self, metric: str, aggregate: Callable[..., float], methods: int) -> Callable[..., float]:
        """The same function, after which a method's last metric moves the bar.

        Args:
            metric: The name of the metric.
            aggregate: What works it out.
            methods: Number of methods, times that of judges.
        """
        if self._bar is None:
            title = f"{self._task}: errors of AUROC, AURC and PRR"
            self._bar = bar_if_slow(what=title, unit="method", total=methods)
        if not (metric.startswith("prr_") and metric.endswith("_stderr")):
            return aggregate

        def counted(values: Any) -> float:
            found = aggregate(values)
            if self._bar is not None:
                self._bar.update()
                if self._bar.n >= methods:
                    self._bar.close()
                    self._bar = None
            return found

        return counted
