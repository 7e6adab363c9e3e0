"""The report's tables for LaTeX, with booktabs: a file for each, and a document that reads them all."""

from __future__ import annotations

import math

from uq_harness.rendering.escape import latex
from uq_harness.report.content import Report
from uq_harness.report.names import file_name
from uq_harness.report.tables import Cell, Table

FOLDER = "tables"

_PREAMBLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\usepackage{booktabs}
\usepackage{graphicx}
\usepackage[margin=2cm]{geometry}
\begin{document}
"""
_NEEDS = r"""% Needs \usepackage[T1]{fontenc} and the packages textcomp, booktabs and graphicx.
\ifdefined\uqbox\else\newsavebox{\uqbox}\fi
"""
# Shrinks a table that is higher or wider than there is room for.
_FITTED = (
    r"\ifdim\dimexpr\ht\uqbox+\dp\uqbox\relax>.85\textheight"
    r"\sbox{\uqbox}{\resizebox{!}{.85\textheight}{\usebox{\uqbox}}}\fi",
    r"\ifdim\wd\uqbox>\linewidth\resizebox{\linewidth}{!}{\usebox{\uqbox}}\else\usebox{\uqbox}\fi",
)


def write_latex(content: Report) -> dict[str, str]:
    """The files: ``report.tex`` compiles with pdflatex, xelatex and lualatex, and reads one file a table.

    Returns:
        Each file's text by its path from the report's folder.
    """
    several = len(content.sections) > 1
    named = [
        *(
            (f"{table.name}-{section.judge}" if several else table.name)
            for section in content.sections
            for table in section.tables
        ),
        *(table.name for table in (*content.served, *content.beside)),
    ]
    stems: list[str] = []
    for name in map(file_name, named):
        stems.append(f"{name}-{len(stems)}" if name in stems else name)
    tables = {
        f"{FOLDER}/{stem}.tex": table_as_latex(table, heading, f"tab:uq-{stem}")
        for stem, (heading, table) in zip(stems, content.all_tables(), strict=True)
    }
    inputs = "".join(f"\\input{{{file.removesuffix('.tex')}}}\n" for file in tables)
    return {"report.tex": f"{_PREAMBLE}{inputs}\\end{{document}}\n", **tables}


def table_as_latex(table: Table, heading: str, label: str) -> str:
    r"""A table environment to ``\input`` into a document; it fits itself to the column.

    Every row begins with an empty group: a name that begins with a star or a bracket would be an argument of the rule
    or line end before it.

    Args:
        table: The table.
        heading: Beginning of its caption.
        label: What ``\ref`` calls it.
    """
    columns = "l" + "r" * len(table.headings)
    lines = [
        r"\begin{table}[tbp]\centering",
        rf"\caption{{{latex(heading)}. {latex(table.caption)}}}\label{{{label}}}",
        rf"\sbox{{\uqbox}}{{\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *_groups(table),
        " & ".join([table.rows_are.capitalize(), *(latex(heading.title) for heading in table.headings)]) + r" \\",
        r"\midrule",
    ]
    for row in table.rows:
        numbers = [_number(cell, table.digits_of(row, at)) for at, cell in enumerate(row.cells)]
        lines += [*([] if row.ranked else [r"\midrule"]), " & ".join([f"{{}}{latex(row.title)}", *numbers]) + r" \\"]
    lines += [r"\bottomrule", r"\end{tabular}}%", *_FITTED, r"\end{table}"]
    return _NEEDS + "\n".join(lines) + "\n"


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
