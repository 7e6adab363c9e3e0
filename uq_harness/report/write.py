"""The whole way from runs to a report's files."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from uq_harness.rendering.figures import SIZES
from uq_harness.report.content import Report
from uq_harness.report.csv import write_examples, write_numbers
from uq_harness.report.figures import run_figures
from uq_harness.report.latex import write_latex
from uq_harness.report.markdown import write_markdown
from uq_harness.report.page import write_page
from uq_harness.report.plots import write_plots
from uq_harness.results.load import load_runs
from uq_harness.results.run import TaskRun


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
    with collected_warnings(logging.getLogger("uq_harness.results")) as messages:
        runs = load_runs(paths, repeated=True, without_samples=True)
    return runs, messages


@contextlib.contextmanager
def collected_warnings(log: logging.Logger) -> Iterator[list[str]]:
    """What a logger and those below it warn of, which is then printed nowhere else."""
    collector = _Collector()
    propagates = log.propagate
    log.addHandler(collector)
    log.propagate = False  # they are printed with the other notes
    try:
        yield collector.messages
    finally:
        log.removeHandler(collector)
        log.propagate = propagates


def write_report(content: Report, folder: Path, *, pictures: bool = True, figure_size: str = "page") -> list[Path]:
    """Writes all formats into a folder.

    Args:
        content: What the report says.
        folder: Where to; made if it does not exist.
        pictures: Whether the figures are also written as PNG, SVG and PDF.
        figure_size: How large these are, a key of `rendering.figures.SIZES`.

    Returns:
        The files, the page first.
    """
    figures = {summary.id: run_figures(summary) for summary in content.runs}
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "report.html": write_page(content, figures),
        "report.md": write_markdown(content),
        **write_latex(content),
        "report.csv": write_numbers(content),
        "confident_errors.csv": write_examples(content),
    }
    files = []
    for name, text in texts.items():
        files.append(folder / name)
        files[-1].parent.mkdir(exist_ok=True)
        files[-1].write_text(text, encoding="utf-8")
    return files + (write_plots(content, figures, folder / "plots", SIZES[figure_size]) if pictures else [])
