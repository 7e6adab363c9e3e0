"""``uq-harness score``: reads the options, and prints what could be computed, what lacks, and the results."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lm_eval.utils import make_table, simple_parse_args_string
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uq_harness.backends.saved.read import SavedFile, read_saved
from uq_harness.errors import UQHarnessError
from uq_harness.files import as_text
from uq_harness.models.saved import MethodReport
from uq_harness.models.score_file import ScoredFile, check_output, names_of, score_file
from uq_harness.rendering.escape import visible


def score_files(
    files: Sequence[Path],
    *,
    output: Path | None,
    methods: str | None,
    method_args: str,
    auxiliary: Mapping[str, str],
    correctness: str,
    first_sample_answers: bool,
    model_name: str | None,
    task_name: str | None,
    batch_size: int,
    limit: int | None,
    as_json: bool,
) -> None:
    """Scores files one after the other; all are read before the first is scored."""
    saved = [read_saved(file, first_sample_answers=first_sample_answers) for file in files]
    _refuse_one_name_for_several(saved, model_name, task_name)
    if output is not None:
        check_output(output)
        output.mkdir(parents=True, exist_ok=True)  # what cannot be one is found before the work
    arguments: dict[str, Any] = {**simple_parse_args_string(method_args), **auxiliary}
    scored = [
        score_file(
            one,
            methods=methods,
            arguments=arguments,
            correctness=_judge(correctness),
            model=model_name,
            task=task_name,
            output=output,
            batch_size=batch_size,
            limit=limit,
            progress=sys.stderr.isatty(),
        )
        for one in saved
    ]
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
    names = [names_of(one, model, task) for one in saved]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UQHarnessError(
            f"several files would be results of the model {twice[0]} on the task {twice[1]}: score them one by one, "
            "with --model-name or --task-name"
        )


def _values(scored: ScoredFile) -> dict[str, Any]:
    return {
        "model": scored.model,
        "task": scored.task,
        "answers": scored.answers,
        "methods": [asdict(one) for one in scored.methods],
        "results": scored.results["results"][scored.task],
        "written": [str(path) for path in scored.written],
    }


def _show(scored: ScoredFile) -> None:
    console = Console()
    table = Table("method", "answers scored", "undefined", "samples", "what the file lacks")
    table.columns[0].no_wrap = True
    table.title = Text(visible(f"{scored.model}, {scored.task}: {scored.answers} answers"))  # may look like markup
    for one in sorted(scored.methods, key=lambda report: not report.scored):
        cells = (one.name, _scored(one), str(one.undefined or ""), _samples(one), "; ".join(_lacking(one)))
        table.add_row(*(Text(visible(cell)) for cell in cells))
    console.print(table)
    print("\n".join(map(visible, make_table({**scored.results, "groups": {}}).split("\n"))))
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
