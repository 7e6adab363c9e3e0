"""``uq-harness bench``."""

from __future__ import annotations

from typing import Annotated

import typer

from uq_harness.cli import app


@app.command()
def bench(
    model: Annotated[str, typer.Option(help="What pretrained= takes: hub name, folder, or demo.")] = "demo",
    tasks: Annotated[str, typer.Option(help="Uncertainty tasks, joined by commas.")] = "uq_demo",
    methods: Annotated[str, typer.Option(help="Methods joined by +, or default, sampling, all, ...")] = "sampling_free",
    model_args: Annotated[str, typer.Option(help="Further arguments of uq-hf: dtype=bfloat16,nli_model=...")] = "",
    metadata: Annotated[str, typer.Option(help='As for lm_eval: {"data_files": {"uq_sciq": "..."}}')] = "{}",
    apply_chat_template: Annotated[
        bool, typer.Option("--apply-chat-template", help="Apply the model's chat template to the questions.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="Questions of each task.")] = 64,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions in a batch.")] = 16,
    repeats: Annotated[int, typer.Option(min=1, help="How often all is measured.")] = 3,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; without it the GPU if there is one.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the CPU; without it torch's choice.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure what each method costs beyond generation, on your model and machine."""
    from uq_harness.cli.bench import show_bench

    show_bench(
        model,
        tasks=tasks,
        methods=methods,
        model_args=model_args,
        metadata=metadata,
        chat=apply_chat_template,
        limit=limit,
        batch_size=batch_size,
        repeats=repeats,
        device=device,
        threads=threads,
        as_json=as_json,
    )
