"""Task files outside this package: ``include: uq_harness:NAME``, and why lm_eval left a file out."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from uq_harness.errors import UQHarnessError, did_you_mean, one_of

PREFIX = "uq_harness:"
FOLDER = "yaml_folder"  # the entry of a task's metadata that says where its file is


def tasks_folder() -> str:
    """The folder of the package's task files."""
    spec = find_spec("uq_harness.tasks")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return str(next(iter(spec.submodule_search_locations)))


def base_files() -> dict[str, Path]:
    """The files that a task can include, by the name after ``include:``.

    >>> list(base_files())
    ['uq_harness:question_answering']
    """
    files = sorted(Path(tasks_folder()).glob("_*.yaml_"))
    return {f"{PREFIX}{file.name.removeprefix('_').removesuffix('.yaml_')}": file for file in files}


def register_includes() -> None:
    """Lets ``include:`` name a file of this package, wherever the task file that includes it is."""
    loader: Any = importlib.import_module("lm_eval.tasks._yaml_loader")
    original = loader.load_yaml
    if hasattr(original, "_knows_uq_harness"):
        return

    @functools.wraps(original)
    def load_yaml(path: str | Path, **kwargs: Any) -> dict[str, Any]:
        config: dict[str, Any] = original(_included(Path(path)), **kwargs)
        if kwargs.get("_seen") is None and _is_ours(config.get("class")):
            metadata = config.get("metadata") or {}
            if isinstance(metadata, dict):  # lm_eval loses the path of a file that --tasks names
                config["metadata"] = {**metadata, FOLDER: str(Path(path).expanduser().resolve().parent)}
        return config

    load_yaml._knows_uq_harness = True  # type: ignore[attr-defined]
    loader.load_yaml = load_yaml  # which lm_eval's own calls for what a file includes


def _is_ours(cls: Any) -> bool:
    return isinstance(cls, type) and cls.__module__.startswith("uq_harness.")


def _included(path: Path) -> Path:
    """The path that lm_eval reads; it has put the folder of the including file before a name of ours.

    Raises:
        UQHarnessError: It begins like a name of ours and is none.
    """
    if not path.name.startswith(PREFIX):
        return path
    known = base_files()
    if path.name not in known:
        raise UQHarnessError(
            f"include: {path.name} does not exist: {did_you_mean(path.name, known, f'use {one_of(list(known))}')}"
        )
    return known[path.name]


def left_out(folders: Iterable[str | Path], index: Mapping[str, Any]) -> dict[str, str]:
    """The tasks in the user's folders that cannot be loaded, each with the reason.

    lm_eval skips a file that it cannot read, and says later that there is no such task.

    Args:
        folders: The folders given with ``--include_path``.
        index: lm_eval's index: entries by the names of tasks, groups and tags.
    """
    files = importlib.import_module("lm_eval.tasks._index").TaskIndex._iter_yaml_files
    own = [file for folder in folders for file in files(Path(folder))]
    configs = {entry.yaml_path: entry.cfg for entry in index.values()}
    found: dict[str, str] = {}
    for file in own:
        name, reason = _unusable(file, configs.get(file))
        usable = name in index and index[name].yaml_path != file and index[name].yaml_path in own
        if reason is not None and not usable:
            found.setdefault(name, f"task file {str(file)!r} {reason}")
    return found


def _unusable(file: Path, config: Mapping[str, Any] | None) -> tuple[str, str | None]:
    """The name of a file's task or group, and why lm_eval cannot make it, where it cannot.

    Args:
        file: The file.
        config: What lm_eval has read of it; ``None`` where it has read nothing.
    """
    load = importlib.import_module("lm_eval.tasks._yaml_loader").load_yaml
    if config is None:
        try:
            config = load(file, resolve_func=False)
        except Exception as error:  # whatever YAML, files and includes raise
            return _name(file, load), f"cannot be loaded: {_reason(error)}"
    name = str(config.get("group", config.get("task", file.stem)))
    if "task" in config and not {"class", "group", "doc_to_text", "use_prompt"} & config.keys():
        base = one_of(list(base_files()))
        return name, f"has neither include nor doc_to_text: an uncertainty task begins with include: {base}"
    return name, None


def _name(file: Path, load: Callable[..., dict[str, Any]]) -> str:
    """The name of the task in a file of which only the includes may be wrong; else that of the file."""
    try:
        config = load(file, resolve_func=False, recursive=False)
    except Exception:
        return file.stem
    name = config.get("group", config.get("task"))
    return name if isinstance(name, str) else file.stem


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"its include {Path(str(error.filename)).name!r} does not exist ({error.filename})"
    return " ".join(str(error).split()) or type(error).__name__


def refuse_left_out(names: Iterable[str], found: Mapping[str, str]) -> None:
    """Checks the names or patterns of tasks that a user asks for.

    Raises:
        UQHarnessError: One means a task that cannot be loaded.
    """
    for name in names:
        for task, reason in found.items():
            if fnmatch(task, str(name)):
                raise UQHarnessError(reason)
