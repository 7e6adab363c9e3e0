"""What a task file and ``--metadata`` may say, and what is misspelt in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from lm_eval.config.task import TaskConfig

from uq_harness.errors import UQHarnessError, close_names, did_you_mean

_NEEDED = ("doc_to_text", "doc_to_target", "test_split", "filter_list")
OPTIONAL = ("correctness", "data_files", "fewshot_files")  # what a task of ours reads of --metadata


def refuse_unknown_fields(settings: Mapping[str, Any]) -> None:
    """Checks a task's configuration before lm_eval reads it.

    Raises:
        UQHarnessError: A field does not exist, or something that every task needs is missing.
    """
    known = [field.name for field in fields(TaskConfig)]
    task = settings.get("task")
    for name in settings:
        if name not in known:
            hint = did_you_mean(name, [*known, "doc_to_question"], "lm_eval's task guide lists what there is")
            raise UQHarnessError(f"task {task}: the field {name!r} does not exist: {hint}")
    missing = [name for name in _NEEDED if settings.get(name) is None]
    if missing:
        base = "include: uq_harness:question_answering"
        raise UQHarnessError(f"task {task} has no {missing[0]}: begin its file with {base}")
    if not settings.get("dataset_path") and not settings.get("custom_dataset"):
        raise UQHarnessError(
            f"task {task} names no data: add dataset_path: json with dataset_kwargs: {{data_files: questions.jsonl}}, "
            "or the name of a data set on the hub"
        )


def nested_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata with ``data_files.uq_sciq=FILE``, as it can be typed in any shell, as ``{"data_files": {...}}``.

    Only the names that a task of ours reads are split, at the first dot: the rest is a task's name, or an option of the
    judge, which one that is given by its name alone takes too.

    Raises:
        UQHarnessError: A name is misspelt, which would do nothing, or is given both with and without a dot.

    >>> nested_metadata({"data_files.uq_sciq": "sciq.jsonl", "dtype": "float32"})
    {'dtype': 'float32', 'data_files': {'uq_sciq': 'sciq.jsonl'}}
    """
    _refuse_typos(metadata)
    found = {key: value for key, value in metadata.items() if key.partition(".")[0] not in OPTIONAL or "." not in key}
    for key, value in metadata.items():
        if key in found:
            continue
        name, _, rest = key.partition(".")
        inner = found.setdefault(name, {})
        if name == "correctness" and isinstance(inner, str):
            inner = {"name": inner}
        if not isinstance(inner, dict):
            raise UQHarnessError(f"--metadata gives both {name}={inner} and {key}={value}: leave one of them out")
        found[name] = {**inner, rest: value}
    return found


def _refuse_typos(metadata: Mapping[str, Any]) -> None:
    """Everything under ``--metadata`` is optional, so a misspelt name would do nothing."""
    names = [key.partition(".")[0] for key in metadata]
    for name in OPTIONAL:
        close = close_names(name, [key for key in names if key != name], 1, 0.8)
        if close:
            raise UQHarnessError(f"--metadata has {close[0]!r}, which does nothing: did you mean {name}?")
