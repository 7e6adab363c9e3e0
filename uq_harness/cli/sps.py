"""``uq-harness sps``: reads, measures, writes, and shows which token keeps a question's meaning."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uq_harness.cli.app import STUDY, app, example
from uq_harness.cli.arguments import (
    BATCH_SIZE,
    MODEL,
    ApplyChatTemplate,
    AsJson,
    BatchSize,
    Device,
    IncludePath,
    Metadata,
    ModelArgs,
    NoPlots,
    TrustRemoteCode,
    listed,
    make_output_folder,
    read_metadata,
    with_model_options,
)
from uq_harness.errors import UQHarnessError
from uq_harness.files import as_text
from uq_harness.rendering.escape import visible

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from uq_harness.studies.sps.result import SpsResult


@app.command(
    rich_help_panel=STUDY,
    epilog=example(
        "uq-harness sps --model demo --paraphrases paraphrases.jsonl --apply_chat_template --device cpu --output sps"
    ),
)
def sps(
    model: Annotated[str, typer.Option(help=MODEL, metavar="MODEL")],
    paraphrases: Annotated[
        list[str],
        typer.Option(
            metavar="[NAME=]FILE", help="JSON lines with question and paraphrases; one file for each data set."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder for sps.json and the heat maps.", metavar="DIR")],
    model_args: ModelArgs = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            help="For each file the task whose questions it has, joined by commas: its prompt is used, and its "
            "questions are compared with the file's. By default the prompt of the package's tasks."
        ),
    ] = None,
    metadata: Metadata = None,
    include_path: IncludePath = None,
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
        str,
        typer.Option(help="all, top_half, last_quarter or a-b; layer l is the state entering block l.", metavar="SPAN"),
    ] = "all",
    apply_chat_template: ApplyChatTemplate = False,
    batch_size: BatchSize = BATCH_SIZE,
    device: Device = None,
    trust_remote_code: TrustRemoteCode = False,
    limit: Annotated[int | None, typer.Option(min=2, help="Only the first so many questions of each file.")] = None,
    no_plots: NoPlots = False,
    as_json: AsJson = False,
) -> None:
    """Find the token and the layers whose hidden states keep a question's meaning.

    Writes the Semantic Preservation Score of every layer and token position, a heat map for each data set, and the
    token with the highest score; sp_token=OUTPUT/sps.json hands it to uq-hf.
    """
    from uq_harness.evidence import LayerSpan
    from uq_harness.models.loading import load_model
    from uq_harness.studies.sps.heat_map import draw_heat_maps
    from uq_harness.studies.sps.measure import measure
    from uq_harness.studies.sps.prompts import read_sources

    LayerSpan(layers)
    make_output_folder(output)
    if not os.access(output, os.W_OK):
        raise UQHarnessError(f"--output {output} cannot be written to: choose another folder")
    folder = None if include_path is None else str(include_path)
    sources = read_sources(paraphrases, listed(tasks), read_metadata(metadata), limit, folder)
    text = with_model_options(model_args, device=device, trust_remote_code=trust_remote_code)
    lm = load_model(model, text, methods="g_nll", sp_token="auto", batch_size=batch_size)
    if not apply_chat_template and lm.tokenizer.chat_template is not None:
        log.warning(
            "the model has a chat template, and the questions are put without it, as lm_eval does without "
            "--apply_chat_template: give that for an sps.json that serves runs with the template"
        )
    result = measure(
        lm,
        sources,
        max_paraphrases=max_paraphrases,
        positions=positions,
        layers=layers,
        batch_size=batch_size,
        chat_template=apply_chat_template,
    )
    file = result.write(output)
    pictures = [] if no_plots else draw_heat_maps(result, output)
    if as_json:
        print(as_text(result.to_json()))
        return
    _show(result, Console(), [file, *pictures])


def _show(result: SpsResult, console: Console, files: Sequence[Path]) -> None:
    from uq_harness.studies.state_map import token_label

    console.print(_table(result))
    chosen = result.recommended
    lines = [f"No token is recommended: {result.no_recommendation}."]
    if chosen is not None:
        share = result.positions[chosen.position].share
        token = token_label(chosen.text or "") if share > 0.5 else "a token that varies with the question"
        lines = [
            f"Highest score: position {chosen.position}, {token}; sp_token=auto takes "
            f"{result.template_choice.position}. To take the one with the highest score: sp_token={files[0]}"
        ]
    lines += [
        f"Candidates are the last {result.candidates} positions, the user's last token and what the chat template puts "
        "behind it: no token before them has seen the whole question. lexical: the embedding, which knows one token "
        "and no context, scores higher, so it is words that agree there and not meaning.",
        "The score says where a question's meaning is kept, not where uncertainty shows. A small model that has "
        "memorised its answers can have decided on one at the prompt's last token: wordings of a question agree there "
        "perfectly, and SemGrad is at its worst. Compare the AUROC of both tokens with `uq-harness ablate` before you "
        "rely on one.",
    ]
    for line in [*lines, "Written: " + ", ".join(map(str, files))]:
        console.print(visible(line), markup=False, highlight=False, soft_wrap=True)


def _table(result: SpsResult) -> Table:
    """A row a position: its token, and its score on each data set."""
    from uq_harness.studies.state_map import token_label

    named = {one.name: one.sps for one in result.data_sets}
    if len(named) > 1:
        named["average"] = result.average
    means = [result.token_scores(scores) for scores in named.values()]
    what = f"SemGrad's layers, {result.semgrad_layers[0]} to {result.semgrad_layers[-1]}"
    if result.token_scores(result.average) is None:
        means = [scores.mean(0) for scores in named.values()]
        what = f"the measured layers, {result.layers[0]} to {result.layers[-1]}"
    table = Table(title=f"Semantic Preservation Score, mean over {what}")
    table.add_column("position", justify="right")
    table.add_column("token", no_wrap=True)
    table.add_column("share", justify="right")
    for name in named:
        table.add_column(Text(visible(name)), justify="right")
    table.add_column("embedding", justify="right")
    table.add_column("choice of", no_wrap=True)
    embedding = [_beside(result, place) for place in range(len(result.positions))]
    for place, position in enumerate(result.positions):
        choosers = {"sps": result.recommended, "auto": result.template_choice}
        chosen_by = [name for name, choice in choosers.items() if choice and choice.position == position.position]
        table.add_row(
            str(position.position),
            Text(token_label(position.text)),
            f"{position.share:.0%}",
            *(f"{scores[place]:.4f}" for scores in means if scores is not None),
            embedding[place],
            " and ".join(chosen_by),
            style="bold" if chosen_by else None if place >= len(result.positions) - result.candidates else "dim",
        )
    return table


def _beside(result: SpsResult, place: int) -> str:
    """The embedding's score at a position, and whether it is higher than that of the layers."""
    scores = result.embedding_scores
    if scores is None:
        return ""
    means = result.token_scores(result.average)
    lexical = means is not None and scores[place] > means[place]
    return f"{round(scores[place], 4) + 0.0:.4f}" + (" lexical" if lexical else "")
