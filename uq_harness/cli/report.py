"""``uq-harness report``: reads runs, writes the report, and prints the table of AUROCs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from uq_harness.cli.app import DECIDE, app, example
from uq_harness.cli.arguments import refuse_output_file
from uq_harness.cli.wide_tables import print_wide
from uq_harness.errors import UQHarnessError, one_of
from uq_harness.files import as_text
from uq_harness.rendering.escape import visible
from uq_harness.rendering.figures import SIZES

if TYPE_CHECKING:
    from uq_harness.report.content import Report
    from uq_harness.report.tables import Cell


_BEST = "*"
_DEFAULT_TOKEN_VALUE = "log-probability"


@app.command(rich_help_panel=DECIDE, epilog=example("uq-harness report out --output report"))
def report(
    results: Annotated[list[Path], typer.Argument(help="Files or folders that lm_eval wrote.", metavar="RESULTS...")],
    output: Annotated[Path, typer.Option(help="Folder for the report.")],
    reference: Annotated[str | None, typer.Option(help="Published results to put next to yours: paper.")] = None,
    title: Annotated[str, typer.Option(help="The report's title.")] = "Uncertainty of answers",
    methods: Annotated[
        str | None, typer.Option(help="Methods joined by +: the only ones in the report, in the order of its tables.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--examples_by", "--method", help="Whose most confident wrong answers are listed; default: each run's best."
        ),
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="Confident wrong answers listed of each run.")] = 10,
    alpha: Annotated[float, typer.Option(min=0, max=1, help="Level of the tests against the best method.")] = 0.05,
    combined: Annotated[bool, typer.Option(help="Also tell how good all scores are together.")] = True,
    token_value: Annotated[
        str, typer.Option(help="What colours the tokens of wrong answers: log-probability, entropy, or a method's.")
    ] = _DEFAULT_TOKEN_VALUE,
    all_runs: Annotated[bool, typer.Option("--all_runs", help="Keep repeated runs, not the last one only.")] = False,
    plots: Annotated[bool, typer.Option(help="Also write the pictures as PNG, SVG and PDF.")] = True,
    figure_size: Annotated[
        str, typer.Option(help="Width of these: page (7 inches) or column (3.4 inches, for a paper).")
    ] = "page",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Write the paper's tables over your runs: HTML, Markdown, LaTeX, CSV and pictures."""
    from uq_harness.report.content import collect
    from uq_harness.report.run import methods_of
    from uq_harness.report.write import read_with_warnings, write_report

    if reference not in (None, "paper"):
        raise UQHarnessError(f"--reference {reference!r} is not known: use paper")
    if figure_size not in SIZES:
        raise UQHarnessError(f"--figure_size {figure_size!r} is not known: use {one_of(list(SIZES))}")
    refuse_output_file(output)
    runs, warnings = read_with_warnings(results)
    chosen = methods.split("+") if methods else []
    known = sorted({name for run in runs for name in methods_of(run)})
    for option, name in [("--methods", name) for name in chosen] + [("--examples_by", method)] * (method is not None):
        if name not in known:
            has = ", ".join(known) or "no method"
            raise UQHarnessError(f"{option} {name!r} is in none of the runs: they have {has}")
    if method is not None and chosen and method not in chosen:
        raise UQHarnessError(f"--examples_by {method!r} is not among --methods {methods}: add it there")
    content = collect(
        runs,
        title=title,
        reference=reference == "paper",
        all_runs=all_runs,
        examples=examples,
        examples_by=method,
        alpha=alpha,
        combined=combined,
        token_value=token_value,
        methods=chosen,
        warnings=warnings,
    )
    _check_token_value(content)
    files = write_report(content, output, pictures=plots, figure_size=figure_size)
    if as_json:
        print(
            as_text(
                {
                    "files": [str(file) for file in files],
                    "headlines": [
                        {"model": one.model, "judge": one.judge, "tasks": list(one.tasks), "sentence": one.sentence}
                        for _, one in content.headlines()
                    ],
                    "notes": list(content.notes),
                    "combined": list(content.combined),
                }
            )
        )
        return
    _print(content, files)


def _check_token_value(content: Report) -> None:
    """Refuses a value that colours nothing; answers without log-probabilities are shown plain unasked."""
    tokens = [one.tokens for run in content.runs for one in run.examples if one.tokens is not None]
    known = sorted({name for one in tokens for name in one.values})
    if content.token_value not in (*known, _DEFAULT_TOKEN_VALUE):
        raise UQHarnessError(
            f"--token_value {content.token_value!r} is in no record of the wrong answers to show: they have "
            f"{', '.join(known) or 'no value of tokens'}"
        )


def _print(content: Report, files: list[Path]) -> None:
    from uq_harness.report.tables import IN_BOLD

    console = Console()
    for name, one in content.headlines():
        console.print(Text(visible(f"{name}: {one.sentence}" if name else one.sentence)), soft_wrap=True)
    for heading, table in content.all_tables():
        if table.name != "auroc":
            continue
        rows = [
            (row.title, [_number(cell, table.digits_of(row, at)) for at, cell in enumerate(row.cells)])
            for row in table.rows
        ]
        print_wide(console, f"{heading}, percent", [(h.group, h.title) for h in table.headings], rows)
        legend = table.caption.replace(IN_BOLD, f"{_BEST} best of its column")
        console.print(Text(visible(legend)), soft_wrap=True)
    for note in (*content.combined, *content.notes):
        console.print(Text(f"note: {visible(note)}"), soft_wrap=True)
    console.print(Text(f"Report: {visible(str(files[0]))}, and {len(files) - 1} more files next to it"), soft_wrap=True)


def _number(cell: Cell, digits: int) -> Text:
    """A number with its error; marks are behind it, so that numbers stand below each other."""
    from uq_harness.evaluation.metrics import FEW_MARK

    if math.isnan(cell.value):
        return Text("–  ")
    error = "" if math.isnan(cell.stderr) else f" ± {cell.stderr:.{digits}f}"
    marks = f"{_BEST if cell.best else '†' if cell.not_worse else ' '}{FEW_MARK if cell.few else ''}"
    return Text(f"{cell.value:.{digits}f}{error} {marks}", "bold" if cell.best else "")
