"""``uq-harness ablate``: gathers evidence or reads it, compares the variants, writes and shows the results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uq_harness.cli.app import STUDY, app, example
from uq_harness.cli.arguments import AsJson, NoPlots, make_output_folder
from uq_harness.cli.spelling import underscored
from uq_harness.errors import UQHarnessError
from uq_harness.files import as_text
from uq_harness.rendering.escape import visible

if TYPE_CHECKING:
    from uq_harness.answering.identity import ModelIdentity
    from uq_harness.studies.ablation.analysis import Ablation, Choices
    from uq_harness.studies.ablation.evidence import AblationEvidence
    from uq_harness.studies.sps.result import SpsResult


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    rich_help_panel=STUDY,
    epilog=example(
        "uq-harness ablate --model_args pretrained=demo --tasks uq_demo --limit 60 --apply_chat_template --batch_size "
        "16 --device cpu --output ablation"
    ),
)
def ablate(
    context: typer.Context,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for tables, pictures, evidence and samples.", metavar="DIR"),
    ] = Path("uq_ablation_results"),
    evidence: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="FILE.npz",
            help="Score evidence of earlier runs again, without a model; once for each file.",
        ),
    ] = None,
    positions: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many of the prompt's last tokens; by default as many as --sps covers, or all that the chat "
            "template puts behind the user's text and a few of that.",
            show_default=False,
        ),
    ] = None,
    layers: Annotated[
        str | None, typer.Option(metavar="A-B,...", help="Further layer spans, such as 0-7,8-15.", show_default=False)
    ] = None,
    betas: Annotated[str, typer.Option(metavar="β,...", help="HybridGrad's temperatures.")] = "0.1,0.2,0.5,1,2,5,10",
    gammas: Annotated[str, typer.Option(metavar="γ,...", help="Factors on ParaGrad in HybridGrad.")] = "0.1,1,10",
    sps: Annotated[
        list[Path] | None,
        typer.Option(help="The sps.json that uq-harness sps has written for the model; one a model.", metavar="FILE"),
    ] = None,
    no_plots: NoPlots = False,
    as_json: AsJson = False,
) -> None:
    """Compare all variants of SemGrad and HybridGrad on one generation pass.

    Takes lm_eval's own arguments in addition to these, with lm_eval's defaults: --model_args pretrained=..., --tasks,
    --apply_chat_template, --batch_size, --device, --limit, --metadata and the others.
    """
    from uq_harness.evidence import LayerSpan
    from uq_harness.studies.ablation.analysis import Choices, analyse
    from uq_harness.studies.ablation.comparison import numbers
    from uq_harness.studies.ablation.layout import to_json
    from uq_harness.studies.sps.result import SpsResult

    spans = tuple(LayerSpan(span.strip()).name for span in layers.split(",")) if layers else ()
    choices = Choices(spans, numbers("--betas", betas), numbers("--gammas", gammas))
    scores = [SpsResult.read(file) for file in sps or []]
    make_output_folder(output)
    arguments = underscored(context.args)
    if evidence:
        found = _read(evidence, arguments, positions)
    else:
        found = _generate(arguments, output, positions, choices, scores)
    ablations = [analyse(one, choices, _sps_of(one, scores)) for one in found]
    if not ablations:  # a process that is not the first
        return
    files = _write(ablations, output, plots=not no_plots)
    if not evidence:
        files += [output / one.file_name for one in found]
    if as_json:
        print(as_text(to_json(ablations)))
        return
    _show(ablations, Console(), files)


def _read(files: Sequence[Path], arguments: Sequence[str], positions: int | None) -> list[AblationEvidence]:
    from uq_harness.studies.ablation.evidence import AblationEvidence

    if arguments or positions is not None:
        first = arguments[0] if arguments else "--positions"
        raise UQHarnessError(f"{first} has no effect with --from, which runs no model: leave it out")
    return [AblationEvidence.read(file) for file in files]


def _generate(
    arguments: Sequence[str], output: Path, positions: int | None, choices: Choices, scores: Sequence[SpsResult]
) -> list[AblationEvidence]:
    from uq_harness.studies.ablation.comparison import check_spans
    from uq_harness.studies.ablation.model import AblationLM
    from uq_harness.studies.ablation.passes import generate
    from uq_harness.studies.ablation.preservation import check_sps

    if len(scores) > 1:
        raise UQHarnessError(f"--sps is given {len(scores)} times, but one model is run: give its file only")
    if positions is None and scores:
        positions = len(scores[0].positions)

    def check(lm: AblationLM, model: ModelIdentity) -> None:
        check_spans(choices.spans, lm.n_blocks)
        for one in scores:
            check_sps(one, model, lm.n_blocks, lm.n_positions)

    found = generate(arguments, output, positions, check)
    return [] if found is None else list(found)


def _sps_of(evidence: AblationEvidence, scores: Sequence[SpsResult]) -> SpsResult | None:
    """The SPS file of the evidence's model; where there is only one file, that one, to be checked."""
    if len(scores) <= 1:
        return scores[0] if scores else None
    own = [one for one in scores if one.model.weights == evidence.model.weights]
    if not own:
        raise UQHarnessError(f"none of the SPS files was made for {evidence.model.name}: run `uq-harness sps` on it")
    return own[0]


def _write(ablations: Sequence[Ablation], output: Path, plots: bool) -> list[Path]:
    """Writes tables and pictures."""
    from uq_harness.studies.ablation import layout

    tables = output / "ablation.json", output / "ablation.md"
    text = json.dumps(layout.to_json(ablations), ensure_ascii=False, allow_nan=False, indent=1)
    tables[0].write_text(text + "\n", encoding="utf-8")
    tables[1].write_text(layout.to_markdown(ablations), encoding="utf-8")
    if not plots:
        return list(tables)
    from uq_harness.studies.ablation.figures import draw

    pictures = [
        file
        for ablation, name in zip(ablations, _file_names(ablations), strict=True)
        for file in draw(ablation, output / name)
    ]
    return [*tables, *pictures]


def _file_names(ablations: Sequence[Ablation]) -> list[str]:
    """A name for each ablation's pictures, with a number where task and judge are the same."""
    names = [one.evidence.name.replace(",", "_") for one in ablations]
    return [
        name if names.count(name) == 1 else f"{name}_{names[: place + 1].count(name)}"
        for place, name in enumerate(names)
    ]


def _show(ablations: Sequence[Ablation], console: Console, files: Sequence[Path]) -> None:
    from uq_harness.studies.ablation import layout
    from uq_harness.studies.ablation.preservation import CAUTION

    heads = layout.columns(ablations)
    for line in layout.answers(ablations):
        console.print(visible(line), markup=False, highlight=False)
    console.print(_table("SemGrad: AUROC, %", "variant", heads, layout.semgrad_rows(ablations)))
    console.print(_table("SemGrad token by token: AUROC, %", "token", heads, layout.token_rows(ablations)))
    console.print(layout.NOTE, markup=False, highlight=False)
    console.print(_table("All methods of the run: AUROC, %", "method", heads, layout.method_rows(ablations)))
    for head, ablation in zip(heads, ablations, strict=True):
        betas, rows = layout.hybridgrad_rows(ablation, layout.short_cell)
        console.print(_table(f"HybridGrad on {head}: AUROC, %", "", [f"β = {beta:g}" for beta in betas], rows))
    console.print("* differs from the default β = 1, γ = 1 (corrected p < 0.05)", markup=False, highlight=False)
    for head, ablation in zip(heads, ablations, strict=True):
        best = layout.best_states_line(ablation)
        console.print(
            visible(f"Best of the single states on {head}: {best}"), markup=False, highlight=False, soft_wrap=True
        )
        if ablation.preservation is not None:
            line = layout.preservation_line(ablation.preservation)
            console.print(visible(line), markup=False, highlight=False, soft_wrap=True)
    console.print(layout.BEST, markup=False, highlight=False)
    if any(ablation.preservation is not None for ablation in ablations):
        console.print(CAUTION, markup=False, highlight=False)
    console.print(visible("Written: " + ", ".join(map(str, files))), markup=False, highlight=False, soft_wrap=True)


def _table(title: str, corner: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> Table:
    table = Table(title=Text(visible(title)), title_justify="left")
    table.add_column(Text(corner), no_wrap=True)
    for head in heads:
        table.add_column(Text(visible(head)), justify="right")
    for label, cells in rows:
        table.add_row(Text(visible(label)), *(Text(visible(cell)) for cell in cells))
    return table
