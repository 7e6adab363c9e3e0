"""``uq-harness sps``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uq_harness.cli import app


@app.command()
def sps(
    model: Annotated[str, typer.Option(help="Name on the hub, folder, or demo.")],
    paraphrases: Annotated[
        list[str],
        typer.Option(
            metavar="[NAME=]FILE", help="JSON lines with question and paraphrases; one file for each data set."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder for sps.json and the heat maps.")],
    model_args: Annotated[
        str | None, typer.Option(help="As lm_eval's --model_args: dtype=bfloat16,device=cuda,revision=..., or JSON.")
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            help="For each file the task whose questions it has, joined by commas: its prompt is used, and its "
            "questions are compared with the file's. By default the prompt of the package's tasks."
        ),
    ] = None,
    metadata: Annotated[
        str | None, typer.Option(help="As lm_eval's --metadata, for --tasks: JSON, such as data_files by task.")
    ] = None,
    max_paraphrases: Annotated[int, typer.Option(min=1, help="At most so many paraphrases of each question.")] = 5,
    positions: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many of the prompt's last tokens; by default all that the chat template puts behind the user's "
            "text, and 8 of that.",
            show_default=False,
        ),
    ] = None,
    layers: Annotated[
        str, typer.Option(help="all, top_half, last_quarter or a-b; layer l is the state entering block l.")
    ] = "all",
    batch_size: Annotated[int, typer.Option(min=1, help="Prompts in one forward pass.")] = 16,
    limit: Annotated[int | None, typer.Option(min=2, help="Only the first so many questions of each file.")] = None,
    no_chat_template: Annotated[
        bool, typer.Option("--no-chat-template", help="Leave out the model's chat template.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result file instead of a table.")] = False,
) -> None:
    """Find the token and the layers whose hidden states keep a question's meaning.

    Writes the Semantic Preservation Score of every layer and token position, a heat map for each data set, and the
    token that it recommends; sp_token=OUTPUT/sps.json hands it to uq-hf.
    """
    from uq_harness.cli.sps import run_sps

    run_sps(
        model=model,
        model_args=model_args,
        paraphrases=paraphrases,
        tasks=tasks,
        metadata=metadata,
        max_paraphrases=max_paraphrases,
        positions=positions,
        layers=layers,
        batch_size=batch_size,
        limit=limit,
        chat_template=not no_chat_template,
        output=output,
        as_json=as_json,
    )
