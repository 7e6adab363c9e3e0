"""Options that several commands have, with one meaning and one default, and how their values are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from uq_harness.errors import UQHarnessError

_EXAMPLE = "--metadata data_files=questions.jsonl"

MODEL = "What pretrained= takes: a name on the hub, a folder, or demo."
ModelArgs = Annotated[
    str | None, typer.Option(help="As lm_eval's --model_args: dtype=bfloat16,revision=main or a JSON object.")
]
Metadata = Annotated[
    str | None, typer.Option(help="As lm_eval's --metadata, such as data_files=questions.jsonl or a JSON object.")
]
IncludePath = Annotated[Path | None, typer.Option(help="Folder with further tasks, as lm_eval's.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, ...; without it the GPU if there is one.")]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust_remote_code", help="Run the code that the model's repository brings, as lm_eval's.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Questions or texts in a batch; it halves where memory runs out.")]
BATCH_SIZE = 16
ApplyChatTemplate = Annotated[
    bool,
    typer.Option(
        "--apply_chat_template/--no_chat_template",
        help="Put questions through the model's chat template, as lm_eval's option; without it plainly.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
NoPlots = Annotated[bool, typer.Option("--no_plots", help="Write no picture files.")]


def read_metadata(text: str | None) -> dict[str, Any]:
    """What is given with ``--metadata``, as lm_eval takes it; empty without it.

    Raises:
        UQHarnessError: It is neither a JSON object nor pairs.

    >>> read_metadata("data_files=questions.jsonl")
    {'data_files': 'questions.jsonl'}
    >>> read_metadata('{"data_files": {"uq_sciq": "questions.jsonl"}}')
    {'data_files': {'uq_sciq': 'questions.jsonl'}}
    """
    if text is None:
        return {}
    if text.lstrip()[:1] not in ("{", "["):
        return _pairs(text)
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise UQHarnessError(f"--metadata {text!r} is not valid JSON ({error.msg}): use {_EXAMPLE}") from None
    if not isinstance(found, dict):
        raise UQHarnessError(f"--metadata {text!r} is not a JSON object: use {_EXAMPLE}")
    return found


def _pairs(text: str) -> dict[str, Any]:
    from lm_eval._cli.utils import key_val_to_dict

    try:
        return dict(key_val_to_dict(text))
    except ValueError:
        raise UQHarnessError(f"--metadata {text!r} is neither pairs nor a JSON object: use {_EXAMPLE}") from None


def with_model_options(model_args: str | None, *, device: str | None, trust_remote_code: bool) -> str:
    """Model arguments with those that have options of their own, in the form in which they were given.

    Args:
        model_args: What is given with ``--model_args``.
        device: What is given with ``--device``.
        trust_remote_code: Whether ``--trust_remote_code`` is given.

    Raises:
        UQHarnessError: An argument is given in both ways.
    """
    from uq_harness.models.loading import parse_model_args

    options: dict[str, Any] = {} if device is None else {"device": device}
    if trust_remote_code:
        options["trust_remote_code"] = True
    text = (model_args or "").strip()
    given = parse_model_args(text)
    twice = next((name for name in options if name in given), None)
    if twice is not None:
        raise UQHarnessError(f"{twice} is given twice: leave it out of --model_args, or leave out --{twice}")
    if text.startswith("{"):
        return json.dumps({**given, **options})
    return ",".join([*filter(None, [text]), *(f"{name}={value}" for name, value in options.items())])


def listed(names: str | None) -> list[str]:
    """Names that are joined by commas, as tasks are."""
    return [name.strip() for name in (names or "").split(",") if name.strip()]


def make_output_folder(output: Path) -> None:
    """Makes the folder given with ``--output``, before any work is done.

    Raises:
        UQHarnessError: The folder cannot be made.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UQHarnessError(f"--output {output} cannot be made a folder ({error.strerror}): choose another") from None


def refuse_output_file(output: Path) -> None:
    """Checks the folder given with ``--output``, without making it.

    Raises:
        UQHarnessError: It is a file.
    """
    if output.exists() and not output.is_dir():
        raise UQHarnessError(f"--output {str(output)!r} is a file: name a folder")
