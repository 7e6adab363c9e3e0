"""``uq-harness score``: scores saved answers, and prints what could be computed, what is missing, and the results."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uq_harness.cli.app import RUN, app, example
from uq_harness.cli.arguments import (
    BATCH_SIZE,
    AsJson,
    BatchSize,
    Device,
    ModelArgs,
    TrustRemoteCode,
    with_model_options,
)
from uq_harness.errors import UQHarnessError
from uq_harness.files import as_text
from uq_harness.rendering.escape import visible

if TYPE_CHECKING:
    from uq_harness.backends.saved.read import SavedFile
    from uq_harness.models.saved import MethodReport
    from uq_harness.models.score_file import ScoredFile


@app.command(
    rich_help_panel=RUN,
    epilog=example("uq-harness score answers.jsonl --correctness exact_match --nli_model lexical --output scored"),
)
def score(
    files: Annotated[
        list[Path],
        typer.Argument(help="JSON lines of saved answers, or samples_*.jsonl of lm_eval.", metavar="FILES"),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Folder for results and samples, as a run writes them.", metavar="DIR")
    ] = None,
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
        bool, typer.Option("--first_sample_answers", help="The first sample is the answer where a line has none.")
    ] = False,
    model_name: Annotated[str | None, typer.Option(help="Name of the model in the results.")] = None,
    task_name: Annotated[str | None, typer.Option(help="Name of the task in the results.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The model that answered: it reads the answers, for scores that take a model.", metavar="MODEL"
        ),
    ] = None,
    model_args: ModelArgs = None,
    device: Device = None,
    trust_remote_code: TrustRemoteCode = False,
    max_difference: Annotated[
        float | None,
        typer.Option(min=0, help="Largest mean difference a token from the recorded log-probabilities of the answers."),
    ] = None,
    batch_size: BatchSize = BATCH_SIZE,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first answers of each file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score and judge saved answers, with --model also by what only the model that answered can tell."""
    from lm_eval.utils import simple_parse_args_string

    from uq_harness.backends.saved.read import read_saved
    from uq_harness.models.reading import SecondPassOptions
    from uq_harness.models.score_file import check_output, score_files

    if model is None and (model_args or device or trust_remote_code or max_difference is not None):
        raise UQHarnessError(
            "--model_args, --device, --trust_remote_code and --max_difference belong to a model that reads the "
            "answers: give --model"
        )
    text = with_model_options(model_args, device=device, trust_remote_code=trust_remote_code)
    saved = [read_saved(file, first_sample_answers=first_sample_answers) for file in files]
    _refuse_one_name_for_several(saved, model_name, task_name)
    if output is not None:
        check_output(output)
        output.mkdir(parents=True, exist_ok=True)  # what cannot be one is found before the work
    models = {"nli_model": nli_model, "similarity_model": similarity_model}
    arguments: dict[str, Any] = {
        **simple_parse_args_string(method_args),
        **{name: value for name, value in models.items() if value is not None},
    }
    scored = score_files(
        saved,
        methods=methods,
        arguments=arguments,
        correctness=_judge(correctness),
        model=model_name,
        task=task_name,
        output=output,
        batch_size=batch_size,
        limit=limit,
        progress=sys.stderr.isatty(),
        reads=None if model is None else SecondPassOptions(model, text, max_difference),
    )
    if not scored:  # another process of the launcher prints
        return
    if as_json:
        print(as_text([_values(one) for one in scored], indent=2))
        return
    for one in scored:
        _show(one)


def _judge(text: str) -> Any:
    """What ``--correctness`` means: a name, or JSON as under ``--metadata``."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UQHarnessError(f"--correctness {text!r} is not valid JSON ({error.msg})") from None


def _refuse_one_name_for_several(saved: Sequence[SavedFile], model: str | None, task: str | None) -> None:
    from uq_harness.models.score_file import names_of

    names = [names_of(one, model, task) for one in saved]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UQHarnessError(
            f"several files would be results of the model {twice[0]} on the task {twice[1]}: score them one by one, "
            "with --model_name or --task_name"
        )


def _values(scored: ScoredFile) -> dict[str, Any]:
    return {
        "model": scored.model,
        "task": scored.task,
        "answers": scored.answers,
        "methods": [asdict(one) for one in scored.methods],
        "results": scored.results["results"][scored.task],
        **({"second_pass": scored.results["config"]["second_pass"]} if scored.agreement is not None else {}),
        "written": [str(path) for path in scored.written],
    }


def _show(scored: ScoredFile) -> None:
    from lm_eval.utils import make_table

    console = Console()
    tells_undefined = any(one.undefined for one in scored.methods)
    table = Table("method", "scored", *["undefined"] * tells_undefined, "samples", "what the file lacks")
    table.columns[1].no_wrap = True
    table.columns[0].overflow = "fold"
    if console.width < 100:  # long names go over two lines, so that the last column can be read
        table.columns[0].max_width = 26
    else:
        table.columns[0].no_wrap = True
    table.title = Text(visible(f"{scored.model}, {scored.task}: {scored.answers} answers"))  # may look like markup
    for one in sorted(scored.methods, key=lambda report: not report.scored):
        undefined = [str(one.undefined or "")] * tells_undefined
        cells = (one.name, _scored(one), *undefined, _samples(one), "; ".join(_lacking(one)))
        table.add_row(*(Text(visible(cell)) for cell in cells))
    console.print(table)
    print("\n".join(map(visible, make_table({**scored.results, "groups": {}}).split("\n"))))
    if scored.agreement is not None and scored.agreement.tokens:
        print(
            f"log-probabilities of {scored.agreement.tokens} tokens: the model differs from those recorded by "
            f"{scored.agreement.mean:.2g} on average and {scored.agreement.worst:.2g} at most"
        )
    for path in scored.written:
        console.print(f"written: {visible(str(path))}", soft_wrap=True, highlight=False, markup=False)


def _scored(one: MethodReport) -> str:
    parts = [f"{one.computed} computed"] * bool(one.computed) + [f"{one.kept} from the file"] * bool(one.kept)
    return ", ".join(parts) or "-"


def _samples(one: MethodReport) -> str:
    if one.samples is None:
        return ""
    fewest, most = one.samples
    return str(most) if fewest == most else f"{fewest} to {most}"


def _lacking(one: MethodReport) -> list[str]:
    """Reasons, with their numbers of answers where they do not hold for all."""
    total = one.scored + sum(one.lacking.values())
    return [what if count == total else f"{what} ({count})" for what, count in one.lacking.items()]
