"""Reports: the paper's tables over your runs, as HTML, Markdown, LaTeX and CSV, with curves and confident mistakes."""

from uq_harness.report._content import Content, collect
from uq_harness.report._csv import as_csv
from uq_harness.report._quality import UNDEFINED, Estimate
from uq_harness.report._reading import read_with_warnings
from uq_harness.report._run import Column, make_column
from uq_harness.report._tables import Cell, method_title, order_of_methods
from uq_harness.report._write import write_report

__all__ = [
    "UNDEFINED",
    "Cell",
    "Column",
    "Content",
    "Estimate",
    "as_csv",
    "collect",
    "make_column",
    "method_title",
    "order_of_methods",
    "read_with_warnings",
    "write_report",
]
