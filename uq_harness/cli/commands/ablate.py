"""``uq-harness ablate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uq_harness.cli import app


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def ablate(
    context: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "--output_path", "-o", help="Folder for tables, pictures, evidence and samples.")
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
    no_figures: Annotated[bool, typer.Option("--no-figures", help="Draw nothing; needs no matplotlib.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON instead of tables.")] = False,
) -> None:
    """Compare all variants of SemGrad and HybridGrad on one generation pass.

    Takes lm_eval's own arguments beside these: --model_args pretrained=..., --tasks, --apply_chat_template,
    --batch_size, --device, --limit, --metadata and the others.
    """
    from uq_harness.cli.ablate import run_ablate

    run_ablate(
        context.args,
        output=output,
        evidence=evidence or [],
        positions=positions,
        layers=layers,
        betas=betas,
        gammas=gammas,
        sps=sps or [],
        figures=not no_figures,
        as_json=as_json,
    )
