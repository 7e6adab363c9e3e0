"""``uq-harness compare``: compares two runs and says whether the second is worse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uq_harness.cli.app import DECIDE, app, example
from uq_harness.cli.arguments import AsJson
from uq_harness.files import as_text


@app.command(
    rich_help_panel=DECIDE,
    epilog=example("uq-harness compare baseline candidate --methods semgrad+g_nll --junit comparison.xml"),
)
def compare(
    baseline: Annotated[Path, typer.Argument(help="Results to compare with: a file or folder that lm_eval wrote.")],
    candidate: Annotated[Path, typer.Argument(help="Results to judge.")],
    methods: Annotated[str, typer.Option(help="Methods to compare, joined by +; all if not given.")] = "",
    measures: Annotated[str, typer.Option(help="Of auroc, aurc and prr, joined by +.")] = "auroc",
    alpha: Annotated[
        float, typer.Option(help="Probability of any false verdict, over all comparisons.", metavar="SHARE")
    ] = 0.05,
    min_effect: Annotated[
        float, typer.Option(help="Smaller differences do not count: 0.01 is one point.", metavar="SHARE")
    ] = 0.0,
    fail_on_regression: Annotated[
        bool, typer.Option(help="Exit with status 1 if anything is worse, or was lost and cannot be compared.")
    ] = False,
    min_common: Annotated[
        float,
        typer.Option(
            help="Least share of the baseline's questions that the candidate must have, with verdicts.", metavar="SHARE"
        ),
    ] = 0.95,
    min_scored: Annotated[
        float, typer.Option(help="Least share of a method's scores that both sides must have.", metavar="SHARE")
    ] = 0.95,
    allow_different: Annotated[
        list[str] | None,
        typer.Option(
            help="Compare although this differs: version, prompt, judge or split. May be repeated.", metavar="ASPECT"
        ),
    ] = None,
    as_json: AsJson = False,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", help="Also write Markdown to this file.", metavar="FILE")
    ] = None,
    junit_file: Annotated[
        Path | None, typer.Option("--junit", help="Also write JUnit XML to this file.", metavar="FILE")
    ] = None,
) -> None:
    """Tell whether a model got worse: paired differences of accuracy and of every method's quality."""
    from uq_harness.comparison.compare import compare_runs
    from uq_harness.comparison.json import as_values
    from uq_harness.comparison.junit import junit
    from uq_harness.comparison.markdown import markdown
    from uq_harness.results.load import load_runs

    comparison = compare_runs(
        load_runs(baseline),
        load_runs(candidate),
        alpha=alpha,
        min_effect=min_effect,
        methods=[name for name in methods.split("+") if name],
        measures=[name for name in measures.split("+") if name],
        allow_different=allow_different or [],
        min_common=min_common,
        min_scored=min_scored,
    )
    for file, written in ((markdown_file, markdown), (junit_file, junit)):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(written(comparison) + "\n", encoding="utf-8")
    print(as_text(as_values(comparison), indent=2) if as_json else markdown(comparison))
    if fail_on_regression and not comparison.passed:
        raise typer.Exit(1)
