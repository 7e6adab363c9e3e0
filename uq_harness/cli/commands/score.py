"""``uq-harness score``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uq_harness.cli import app


@app.command()
def score(
    files: Annotated[list[Path], typer.Argument(help="JSON lines of saved answers, or samples_*.jsonl of lm_eval.")],
    output: Annotated[Path | None, typer.Option(help="Folder for results and samples, as a run writes them.")] = None,
    methods: Annotated[
        str | None, typer.Option(help="Methods joined by +; without it all that the file suffices for.")
    ] = None,
    method_args: Annotated[
        str, typer.Option(help="Options of methods and auxiliary models: entropy_samples=20,nli_device=cpu")
    ] = "",
    nli_model: Annotated[str | None, typer.Option(help="NLI model: hub name, folder, or lexical for none.")] = None,
    similarity_model: Annotated[
        str | None, typer.Option(help="Cross-encoder: hub name, folder, or lexical for none.")
    ] = None,
    correctness: Annotated[str, typer.Option(help='Judge: a name, or JSON {"name": "f1", "threshold": 0.6}.')] = "bem",
    first_sample_answers: Annotated[
        bool, typer.Option("--first-sample-answers", help="The first sample is the answer where a line has none.")
    ] = False,
    model_name: Annotated[str | None, typer.Option(help="Name of the model in the results.")] = None,
    task_name: Annotated[str | None, typer.Option(help="Name of the task in the results.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions whose texts are compared at a time.")] = 32,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first answers of each file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Score and judge saved answers; no model is run but judges and comparers of texts."""
    from uq_harness.cli.score import score_files

    auxiliary = {"nli_model": nli_model, "similarity_model": similarity_model}
    score_files(
        files,
        output=output,
        methods=methods,
        method_args=method_args,
        auxiliary={name: value for name, value in auxiliary.items() if value is not None},
        correctness=correctness,
        first_sample_answers=first_sample_answers,
        model_name=model_name,
        task_name=task_name,
        batch_size=batch_size,
        limit=limit,
        as_json=as_json,
    )
