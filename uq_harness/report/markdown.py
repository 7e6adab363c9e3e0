"""The report as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from uq_harness.evaluation.metrics import FEW_MARK
from uq_harness.rendering.escape import markdown, markdown_quote
from uq_harness.report.content import Report
from uq_harness.report.headline import Headline, percent
from uq_harness.report.run import RunSummary
from uq_harness.report.tables import Cell, Table


def write_markdown(content: Report) -> str:
    """Headlines, tables, the most confident wrong answers, and what was run."""
    parts = [f"# {markdown(content.title)}"]
    parts.append("\n\n".join(_headline(name, one) for name, one in content.headlines()))
    if content.notes:
        parts.append("\n".join(f"> - {markdown(note)}" for note in content.notes))
    parts += [f"## {markdown(heading)}\n\n{table_as_markdown(table)}" for heading, table in content.all_tables()]
    if content.combined:
        parts.append("## All scores together\n\n" + "\n".join(f"- {markdown(one)}" for one in content.combined))
    parts += [markdown(note) for note in content.reference_notes]
    parts += [_examples(run) for run in content.runs if run.examples]
    parts.append("## Runs\n\n" + _runs(content.runs))
    return "\n\n".join(parts) + "\n"


def _headline(name: str, one: Headline) -> str:
    return f"{f'{markdown(name)}: ' if name else ''}{markdown(one.sentence)}"


def table_as_markdown(table: Table) -> str:
    """A pipe table; its best numbers are bold, and a dagger marks those not significantly worse."""
    titles = [f"{h.group} {h.title}".strip() for h in table.headings]
    rows = [
        [markdown(row.title), *(_number(cell, table.digits_of(row, at)) for at, cell in enumerate(row.cells))]
        for row in table.rows
    ]
    return f"{markdown(table.caption)}\n\n" + _pipes([table.rows_are, *map(markdown, titles)], rows, numbers_from=1)


def _number(cell: Cell, digits: int) -> str:
    if math.isnan(cell.value):
        return "–"
    text = f"{cell.value:.{digits}f}"
    if cell.best:
        text = f"**{text}**"
    if not math.isnan(cell.stderr):
        text += f" ± {cell.stderr:.{digits}f}"
    return text + (" †" if cell.not_worse else "") + (f" {FEW_MARK}" if cell.few else "")


def _pipes(titles: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int) -> str:
    rule = ["---" if at < numbers_from else "---:" for at in range(len(titles))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [titles, rule, *rows])


def _runs(runs: Sequence[RunSummary]) -> str:
    titles = ["model", "task", "judge", "questions", "accuracy", "undefined scores", "seconds an answer", "date"]
    rows = [
        [
            markdown(run.model),
            markdown(run.task),
            markdown(run.judge),
            f"{run.questions:,}",
            percent(run.accuracy),
            f"{run.undefined:,}",
            "–" if math.isnan(run.seconds) else f"{run.seconds:.3g}",
            run.date,
        ]
        for run in runs
    ]
    return _pipes(titles, rows, numbers_from=3)


def _examples(run: RunSummary) -> str:
    head = f"## Most confident wrong answers: {markdown(run.name)}\n\nBy {markdown(run.examples_by)}.\n\n"
    titles = ["question", "answer", "reference answers", "score", "surer than", "agree"]
    rows = [
        [
            markdown_quote(one.question),
            markdown_quote(one.answer) if one.answer else "(empty)",
            " · ".join(map(markdown_quote, one.references))
            + (f" and {one.more_references} more" if one.more_references else ""),
            f"{one.score:.4g}",
            f"{100 * one.surer_than:.0f} %",
            f"{one.agree} of {one.methods}",
        ]
        for one in run.examples
    ]
    return head + _pipes(titles, rows, numbers_from=3)
