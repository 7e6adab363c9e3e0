"""``uq-harness demo``: the whole way offline, without the noise of a run, and what its numbers mean."""

from __future__ import annotations

import io
import json
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from uq_harness.cli.app import RUN, app, example
from uq_harness.cli.arguments import AsJson
from uq_harness.cli.run import run_lm_eval
from uq_harness.files import as_text

COVERAGES = (0.25, 0.5, 0.75, 1.0)


@app.command(rich_help_panel=RUN, epilog=example("uq-harness demo --methods g_nll+semgrad --output uq_demo_results"))
def demo(
    output: Annotated[
        Path, typer.Option(help="Folder for lm_eval's results and samples, and the report.", metavar="DIR")
    ] = Path("uq_demo_results"),
    methods: Annotated[
        str, typer.Option(help="Methods joined by +; or default, cheap, sampling_free, sampling, all.")
    ] = "sampling_free",
    as_json: AsJson = False,
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
    console = Console(quiet=as_json)
    console.print(f"$ lm_eval {shlex.join(arguments)}", highlight=False, soft_wrap=True)
    with quiet_lm_eval(), redirect_stdout(io.StringIO() if as_json else sys.stdout):
        run_lm_eval(arguments)
    samples = max(output.rglob("samples_uq_demo_*.jsonl"), key=lambda file: file.stat().st_mtime)
    risks = _risks(samples)
    console.print(_risk_table(risks))
    runs, warnings = read_with_warnings([output])
    content = collect(runs, title="The demo model on questions about a made-up world", warnings=warnings)
    page = next(file for file in write_report(content, output / "report", pictures=False) if file.suffix == ".html")
    if as_json:
        print(as_text({"samples": str(samples), "report": str(page), "error_rates": risks}, indent=2))
        return
    console.print(f"Results and samples: {samples.parent}", soft_wrap=True)
    console.print(f"Curves of risk against coverage, histograms and confident mistakes: {page}", soft_wrap=True)


@contextmanager
def quiet_lm_eval() -> Iterator[None]:
    """Lets lm_eval say warnings and the answers' progress only.

    Its own notes, the bars of what takes a second, and what git says outside a repository are left out; a level that
    the user has set with ``LMEVAL_LOG_LEVEL`` stays.
    """
    from lm_eval import evaluator
    from lm_eval.api import task
    from transformers.utils import logging as transformers_logging

    bars = transformers_logging.is_progress_bar_enabled()
    level = logging.getLogger("lm_eval").level
    with (
        _replaced(os.environ, LMEVAL_LOG_LEVEL=os.environ.get("LMEVAL_LOG_LEVEL", "WARNING")),
        _replaced(vars(evaluator), get_git_commit_hash=_commit),
        _replaced(vars(task), tqdm=lambda rows, **_: rows),
    ):
        transformers_logging.disable_progress_bar()
        try:
            yield
        finally:
            if bars:
                transformers_logging.enable_progress_bar()
            logging.getLogger("lm_eval").setLevel(level)


@contextmanager
def _replaced(names: MutableMapping[str, Any], **values: Any) -> Iterator[None]:
    """Other values for some names, for a while."""
    before = {name: names[name] for name in values if name in names}
    names.update(values)
    try:
        yield
    finally:
        for name in values:
            del names[name]
        names.update(before)


def _commit() -> str | None:
    """The commit of the working folder's repository, as lm_eval notes it."""
    try:
        found = subprocess.run(["git", "describe", "--always"], capture_output=True, text=True, check=True)
    except (subprocess.CalledProcessError, OSError):
        return None
    return found.stdout.strip()


def _risks(samples: Path) -> dict[str, dict[str, float | None]]:
    """Error rate among the most certain answers by method and coverage; ``None`` where it is undefined."""
    import numpy as np

    from uq_harness.functional import risk_coverage

    records = [json.loads(line)["doc"]["uq"] for line in samples.read_text(encoding="utf-8").splitlines()]
    correct = np.array([record["correct"] for record in records])
    found: dict[str, dict[str, float | None]] = {}
    for method in records[0]["uncertainty"]:
        scores = [record["uncertainty"][method] for record in records]
        risks = risk_coverage(np.array([np.nan if s is None else s for s in scores]), correct)
        found[method] = {
            f"{coverage:.0%}": float(risks[max(0, round(coverage * len(risks)) - 1)]) if len(risks) else None
            for coverage in COVERAGES
        }
    return found


def _risk_table(risks: Mapping[str, Mapping[str, float | None]]) -> Table:
    """A row a method and a bar a coverage."""
    table = Table("method", *(f"{coverage:.0%} answered" for coverage in COVERAGES))
    table.title = "Wrong answers when only the most certain ones are given"
    for method, at in risks.items():
        bars = ("undefined" if risk is None else f"{risk:4.0%} {'█' * round(16 * risk)}" for risk in at.values())
        table.add_row(method, *bars)
    return table
