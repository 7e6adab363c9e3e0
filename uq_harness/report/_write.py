"""The whole way from runs to a report's files."""

from __future__ import annotations

from pathlib import Path

from uq_harness.report._content import Content
from uq_harness.report._csv import write_examples, write_numbers
from uq_harness.report._latex import write_latex
from uq_harness.report._markdown import write_markdown
from uq_harness.report._page import draw, write_page
from uq_harness.report._plots import write_plots


def write_report(content: Content, folder: Path, *, pictures: bool = True) -> list[Path]:
    """Writes all formats into a folder.

    Args:
        content: What the report says.
        folder: Where to; made if it does not exist.
        pictures: Whether curves, histograms and costs are also written as PNG and SVG.

    Returns:
        The files, the page first.

    Raises:
        UQHarnessError: Pictures are asked for and matplotlib is not installed.
    """
    drawn = {view.id: draw(view) for view in content.runs}
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "report.html": write_page(content, drawn),
        "report.md": write_markdown(content),
        "report.tex": write_latex(content),
        "report.csv": write_numbers(content),
        "confident_errors.csv": write_examples(content),
    }
    files = []
    for name, text in texts.items():
        files.append(folder / name)
        files[-1].write_text(text, encoding="utf-8")
    return files + (write_plots(content, drawn, folder / "plots") if pictures else [])
