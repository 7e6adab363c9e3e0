"""The report's tables as a LaTeX document with booktabs; each table can be taken out of it by itself."""

from __future__ import annotations

import math

from uq_harness.rendering.escape import latex
from uq_harness.report.content import Report
from uq_harness.report.tables import Cell, Table

_PREAMBLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\usepackage{booktabs}
\usepackage{graphicx}
\usepackage[margin=2cm]{geometry}
% Shrinks a table that is wider than the page.
\newsavebox{\uqbox}
\newenvironment{uqtable}{\begin{lrbox}{\uqbox}}{\end{lrbox}%
  \ifdim\wd\uqbox>\linewidth\resizebox{\linewidth}{!}{\usebox{\uqbox}}\else\usebox{\uqbox}\fi}
\begin{document}
"""


def write_latex(content: Report) -> str:
    """A document that compiles with pdflatex, xelatex and lualatex."""
    tables = "\n".join(table_as_latex(table, heading) for heading, table in content.all_tables())
    return f"{_PREAMBLE}{tables}\\end{{document}}\n"


def table_as_latex(table: Table, heading: str) -> str:
    """A table environment; ``uqtable`` in the preamble fits it to the page.

    Every row begins with an empty group: a name that begins with a star or a bracket would be an argument of the rule
    or line end before it.
    """
    columns = "l" + "r" * len(table.headings)
    lines = [
        r"\begin{table}[p]\centering",
        rf"\caption{{{latex(heading)}. {latex(table.caption)}}}",
        r"\begin{uqtable}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *_groups(table),
        " & ".join([table.rows_are.capitalize(), *(latex(heading.title) for heading in table.headings)]) + r" \\",
        r"\midrule",
        *(
            " & ".join(
                [
                    f"{{}}{latex(row.title)}",
                    *(_number(cell, table.digits_of(row, at)) for at, cell in enumerate(row.cells)),
                ]
            )
            + r" \\"
            for row in table.rows
        ),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{uqtable}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _groups(table: Table) -> list[str]:
    """The line of models above the tasks, with a rule under each."""
    if not any(group for group, _ in table.groups):
        return []
    heads, rules, at = [], [], 2
    for group, span in table.groups:
        heads.append(rf"\multicolumn{{{span}}}{{c}}{{{latex(group)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{at}-{at + span - 1}}}")
        at += span
    return [" & ".join(["", *heads]) + r" \\", " ".join(rules)]


def _number(cell: Cell, digits: int) -> str:
    if math.isnan(cell.value):
        return "--"
    value = f"{cell.value:.{digits}f}".replace("-", "$-$")
    text = rf"\textbf{{{value}}}" if cell.best else value
    if cell.not_worse:
        text += r"$^{\dagger}$"
    if cell.few:
        text += r"$^{\ddagger}$"
    if not math.isnan(cell.stderr):
        text += rf" {{\scriptsize $\pm$ {cell.stderr:.{digits}f}}}"
    return text
