"""``uq-harness bench``: measures costs and prints them, with the paper's next to them."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    TrustRemoteCode,
    listed,
    read_metadata,
    with_model_options,
)
from uq_harness.errors import UQHarnessError
from uq_harness.files import as_text, user_path, write_whole
from uq_harness.rendering.escape import visible

if TYPE_CHECKING:
    from uq_harness.report.published.tables import ReferenceTable
    from uq_harness.studies.bench.report import Bench, Spread


@app.command(
    rich_help_panel=STUDY, epilog=example("uq-harness bench --model demo --apply_chat_template --limit 8 --device cpu")
)
def bench(
    model: Annotated[str, typer.Option(help=MODEL, metavar="MODEL")] = "demo",
    tasks: Annotated[str, typer.Option(help="Uncertainty tasks, joined by commas.")] = "uq_demo",
    methods: Annotated[
        str, typer.Option(help="Methods joined by +; or default, cheap, sampling_free, sampling, all.")
    ] = "sampling_free",
    model_args: ModelArgs = None,
    metadata: Metadata = None,
    include_path: IncludePath = None,
    apply_chat_template: ApplyChatTemplate = False,
    limit: Annotated[int, typer.Option(min=1, help="Questions of each task.")] = 64,
    batch_size: BatchSize = BATCH_SIZE,
    repeats: Annotated[int, typer.Option(min=1, help="How often all is measured.")] = 1,
    device: Device = None,
    trust_remote_code: TrustRemoteCode = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the CPU; without it torch's choice.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="JSON file that keeps what has been measured, as it grows.", metavar="FILE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure what each method costs beyond generation, on your model and machine.

    Ctrl-C ends it with what has been measured so far.
    """
    import torch

    from uq_harness.models.loading import parse_model_args
    from uq_harness.report.published.tables import paper_table
    from uq_harness.studies.bench.report import RUN
    from uq_harness.studies.bench.run import run_bench

    text = with_model_options(model_args, device=device, trust_remote_code=trust_remote_code)
    arguments: dict[str, Any] = parse_model_args(text)
    if threads is not None:
        torch.set_num_threads(threads)
    paper = paper_table(3)

    def as_json_text(found: Bench) -> str:
        return as_text({**asdict(found), "paper": asdict(paper)}, indent=2)

    file = None if output is None else _output_file(output)
    found = run_bench(
        model,
        tasks=listed(tasks),
        methods=methods,
        model_arguments=arguments,
        metadata=read_metadata(metadata),
        include_path=None if include_path is None else str(include_path),
        chat=apply_chat_template,
        limit=limit,
        batch_size=batch_size,
        repeats=repeats,
        progress=sys.stderr.isatty(),
        keep=lambda found: None if file is None else write_whole(file, as_json_text(found)),
    )
    if as_json:
        print(as_json_text(found))
    else:
        _show(found, paper)
    for name, why in found.failed.items():
        print(f"{name} could not be measured: {why}", file=sys.stderr)
    if not found.complete:
        print(
            f"stopped after {found.measured} of {found.repeats * sum(found.tasks.values())} questions", file=sys.stderr
        )
    if RUN in found.failed or not found.complete:
        raise typer.Exit(1)


def _output_file(output: Path) -> Path:
    """The file to write, which is asked for before the work.

    Raises:
        UQHarnessError: It cannot be written, or is something else than a file.
    """
    file = user_path(output, "--output")
    folder = file.resolve().parent
    if not folder.is_dir():
        raise UQHarnessError(f"--output {str(file)!r}: there is no folder {str(folder)!r}: make it first")
    if file.exists() and not file.is_file():
        raise UQHarnessError(f"--output {str(file)!r} is no file: give the name of one")
    if not os.access(folder, os.W_OK):
        raise UQHarnessError(
            f"--output {str(file)!r}: nothing can be written to {str(folder)!r}: choose another folder"
        )
    return file


def _show(found: Bench, paper: ReferenceTable) -> None:
    console = Console()
    console.print(_times(found, paper))
    console.print(_stages(found))
    console.print(_work(found))
    console.print(
        "Seconds are those of one question. + is what a method adds to our decoding if it is the only one; beside is "
        "what is saved if it alone is left out. Decoding is compared with generation by lm_eval's hf. In brackets the "
        "lowest and the highest of the repeats. Memory is what the first chunk adds at its peak.\n"
        f"paper: Table 3 of {paper.source}: what a method adds to its generation, on "
        f"{', '.join(column.task_title for column in paper.columns)}, in seconds (shares of its generation).",
        highlight=False,
    )


def _times(found: Bench, paper: ReferenceTable) -> Table:
    tasks = ", ".join(f"{count} questions of {name}" for name, count in found.tasks.items())
    table = Table("way", "ms a question", "+ ms", "+ share", "beside", "paper: + s (share)")
    title = (
        f"{found.model}, {found.dtype} on {found.device}, {found.threads} threads",
        f"{tasks}, batches of {found.batch_size}, {found.repeats} repeats",
    )
    table.title = Text("\n".join(map(visible, title)))
    _align(table, slice(1, -1))
    table.add_row("generation", _milliseconds(found.generation), "", "", "", _paper(None, paper))
    for cost in found.costs:
        times = (_milliseconds(cost.seconds), _milliseconds(cost.extra), _spread(cost.share, 1))
        beside = "" if cost.beside is None else _milliseconds(cost.beside)
        table.add_row(cost.name, *times, beside, _paper(cost.name, paper))
    return table


def _stages(found: Bench) -> Table:
    table = Table("stage", "ms a question", "share")
    table.title = "All methods together, stage by stage; what parts of decoding add alone"
    _align(table, slice(1, None))
    for part in found.stages:
        table.add_row(part.name, _milliseconds(part.seconds), _spread(part.share, 1))
    table.add_section()
    for part in found.groups:
        table.add_row(f"alone: {part.name}", _milliseconds(part.seconds), _spread(part.share, 1))
    return table


def _work(found: Bench) -> Table:
    table = Table("way", "tokens", "row-steps", "NLI pairs", "similarity pairs", "+ MB")
    table.title = "Work for a question, memory"
    _align(table, slice(1, None))
    table.add_row("generation", *[""] * 4, _megabytes(found.peak_megabytes.get("generation")))
    for cost in found.costs:
        work = (cost.work.answer_tokens, cost.work.row_steps, cost.work.nli_pairs, cost.work.similarity_pairs)
        memory = _megabytes(found.peak_megabytes.get(cost.name))
        table.add_row(cost.name, *(f"{amount:.1f}" for amount in work), memory)
    return table


def _align(table: Table, numbers: slice) -> None:
    table.columns[0].no_wrap = True
    for column in table.columns[numbers]:
        column.justify = "right"


def _milliseconds(spread: Spread) -> str:
    return _spread(spread, 1e3)


def _spread(spread: Spread, factor: float) -> str:
    middle, lowest, highest = (_brief(factor * value) for value in (spread.median, spread.lowest, spread.highest))
    return middle if spread.lowest == spread.highest else f"{middle} ({lowest} to {highest})"


def _brief(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _megabytes(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _paper(method: str | None, paper: ReferenceTable) -> str:
    """The paper's seconds, for a method with their shares of its generation."""
    generation = next(row for row in paper.rows if row.method is None)
    row = next((row for row in paper.rows if row.method == method), None)
    if row is None:
        return ""
    if row is generation:
        return ", ".join(f"{value:.2f}" for value in row.values)
    pairs = zip(row.values, generation.values, strict=True)
    return ", ".join(f"{value:.2f} ({value / pure:.1f})" for value, pure in pairs)
