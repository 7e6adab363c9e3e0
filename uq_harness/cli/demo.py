"""``uq-harness demo``: the whole way offline, and what its numbers mean."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from uq_harness.cli.app import app
from uq_harness.cli.run import run_lm_eval

COVERAGES = (0.25, 0.5, 0.75, 1.0)


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for lm_eval's results and samples.")] = Path("uq_demo_results"),
    methods: Annotated[str, typer.Option(help="Methods joined by +; default, cheap, sampling, all")] = "sampling_free",
) -> None:
    """Run the whole way offline, with the small model that comes with the package."""
    import torch

    from uq_harness.report.content import collect
    from uq_harness.report.write import read_with_warnings, write_report

    arguments = [
        *("--model", "uq-hf", "--model_args", f"pretrained=demo,methods={methods}"),
        *("--tasks", "uq_demo", "--apply_chat_template", "--batch_size", "16", "--device", "cpu"),
        *("--output_path", str(output), "--log_samples"),
    ]
    torch.set_num_threads(1)  # threads only get in each other's way on so small a model
    console = Console()
    console.print(f"$ lm_eval {shlex.join(arguments)}", highlight=False, soft_wrap=True)
    run_lm_eval(arguments)
    samples = max(output.rglob("samples_uq_demo_*.jsonl"), key=lambda file: file.stat().st_mtime)
    console.print(_risk_table(samples))
    runs, warnings = read_with_warnings([output])
    content = collect(runs, title="The demo model on questions about a made-up world", warnings=warnings)
    page = next(file for file in write_report(content, output / "report", pictures=False) if file.suffix == ".html")
    console.print(f"Results and samples: {samples.parent}", soft_wrap=True)
    console.print(f"Curves of risk against coverage, histograms and confident mistakes: {page}", soft_wrap=True)


def _risk_table(samples: Path) -> Table:
    """Error rate among the most certain answers, a row a method and a bar a coverage."""
    import numpy as np

    from uq_harness.functional import risk_coverage

    records = [json.loads(line)["doc"]["uq"] for line in samples.read_text(encoding="utf-8").splitlines()]
    correct = np.array([record["correct"] for record in records])
    table = Table("method", *(f"{coverage:.0%} answered" for coverage in COVERAGES))
    table.title = "Wrong answers when only the most certain ones are given"
    for method in records[0]["uncertainty"]:
        scores = [record["uncertainty"][method] for record in records]
        risks = risk_coverage(np.array([np.nan if s is None else s for s in scores]), correct)
        if not len(risks):
            table.add_row(method, *("undefined" for _ in COVERAGES))
            continue
        at = [risks[max(0, round(coverage * len(risks)) - 1)] for coverage in COVERAGES]
        table.add_row(method, *(f"{risk:4.0%} {'█' * round(16 * risk)}" for risk in at))
    return table
