"""Reading runs for people to look at: what the reader warns of belongs into the page too."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from uq_harness.results import TaskRun, load_runs


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def read_with_warnings(paths: Iterable[str | Path]) -> tuple[list[TaskRun], list[str]]:
    """All runs, repeated ones and those without samples too, and what reading them has met with.

    Raises:
        UQHarnessError: There is nothing to read.
    """
    log = logging.getLogger("uq_harness.results")
    collector = _Collector()
    propagates = log.propagate
    log.addHandler(collector)
    log.propagate = False  # they are printed with the other notes
    try:
        runs = load_runs(paths, repeated=True, without_samples=True)
    finally:
        log.removeHandler(collector)
        log.propagate = propagates
    return runs, collector.messages
