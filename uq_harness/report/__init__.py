"""Reports: the paper's tables over your runs, as HTML, Markdown, LaTeX and CSV, with curves and confident mistakes."""

from uq_harness.report._content import Content, collect
from uq_harness.report._write import write_report

__all__ = ["Content", "collect", "write_report"]
