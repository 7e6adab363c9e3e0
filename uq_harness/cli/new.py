"""``uq-harness new``: a task or a method of the user's own, ready to run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from uq_harness.cli.app import RUN, app, example


class Kind(StrEnum):
    """What can be made."""

    task = "task"
    method = "method"


@app.command(rich_help_panel=RUN, epilog=example("uq-harness new task my_rivers --folder mytasks"))
def new(
    kind: Annotated[Kind, typer.Argument(show_default=False, help="What to make: task or method.")],
    name: Annotated[str, typer.Argument(show_default=False, help="Its name for --tasks, or for methods=.")],
    folder: Annotated[Path, typer.Option(help="Where its own folder goes.")] = Path("."),
) -> None:
    """Write a working task or method of your own: change what it asks or computes, and keep the rest."""
    from uq_harness.skeletons.write import write_method, write_task

    made = write_task(name, folder) if kind is Kind.task else write_method(name, folder)
    for file in made:
        print(file)
    print()
    if kind is Kind.task:
        options = "--model uq-hf --model_args pretrained=demo --apply_chat_template"
        print(f"Try it: lm_eval --include_path {folder} --tasks {name} {options}")
    else:
        print(f"Test it: pip install -e {folder / name} and python -m pytest {folder / name}")
        print(f"Try it: uq-harness demo --methods {name}")
