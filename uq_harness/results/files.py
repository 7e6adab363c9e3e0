"""Finding lm_eval's output files: which samples belong to which results."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uq_harness.errors import UQHarnessError
from uq_harness.files import user_path
from uq_harness.rendering.secrets import without_secrets

log = logging.getLogger(__name__)
WHAT_TO_GIVE = "give files or folders that lm_eval wrote with --output_path and --log_samples"
_DATE = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?"
_RESULTS = re.compile(rf"results\.json|.+_(?P<date>{_DATE})\.json")
_SAMPLES = re.compile(rf"samples_(?P<task>.+?)(?:_(?P<date>{_DATE}))?\.jsonl")


@dataclass(frozen=True)
class RunFiles:
    """One task's files of one call of lm_eval.

    Attributes:
        task: The task's name.
        results: The file of aggregated results, if there is one.
        samples: The file of samples, if there is one.
        content: What the results file holds; empty without one.
    """

    task: str
    results: Path | None
    samples: Path | None
    content: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """The file to name in messages."""
        path = self.results or self.samples
        assert path is not None
        return path

    @property
    def date(self) -> datetime | None:
        """When the run started; without results, when its samples were saved, as their name says in local time."""
        started = self.content.get("date")
        if isinstance(started, int | float):
            with contextlib.suppress(ValueError, OverflowError, OSError):  # no time that a calendar has
                return datetime.fromtimestamp(started, UTC)
        named = re.search(_DATE, self.path.name)
        if named is None:
            return None
        day, _, time = named[0].partition("T")
        with contextlib.suppress(ValueError, OverflowError):
            return datetime.fromisoformat(f"{day}T{time.replace('-', ':')}").astimezone(UTC)
        return None


def find_files(paths: Iterable[str | Path]) -> list[RunFiles]:
    """All runs in the given files and folders, each once.

    A results file brings the samples next to it, and the other way round. Files that lm_eval did not write
    are left out with a warning.

    Raises:
        UQHarnessError: A path does not exist, or a folder holds no file named as lm_eval names them.
    """
    files = dict.fromkeys(file.resolve() for path in paths for file in _expand(user_path(path, "results")))
    contents = {file: content for file in files if file.suffix != ".jsonl" and (content := _read(file)) is not None}
    runs = [_run(task, file, content) for file, content in contents.items() for task in content["configs"]]
    claimed = {run.samples for run in runs}
    return runs + [run_of_samples(file) for file in files if file.suffix == ".jsonl" and file not in claimed]


def _expand(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        what = "is neither a file nor a folder" if os.path.lexists(path) else "does not exist"
        raise UQHarnessError(f"{str(path)!r} {what}: {WHAT_TO_GIVE}")
    named = [file for file in path.rglob("*.json*") if _RESULTS.fullmatch(file.name) or _SAMPLES.fullmatch(file.name)]
    found = [file for file in named if file.is_file()]  # no pipe, which would never end, and no link to nothing
    if not found:
        raise UQHarnessError(f"{str(path)!r} holds neither results_*.json nor samples_*.jsonl: {WHAT_TO_GIVE}")
    return sorted(found)


def _read(file: Path) -> Mapping[str, Any] | None:
    """The content of a results file without secrets, ``None`` with a warning for another file."""
    try:
        content = json.loads(file.read_bytes())
        if not isinstance(content, dict) or not all(
            isinstance(content.get(key), dict) for key in ("results", "configs")
        ):
            log.warning("%s is left out: it is not a results file of lm_eval, which has 'results' and 'configs'", file)
            return None
        return _sound(results_without_secrets(content), file)
    except (ValueError, RecursionError) as error:
        log.warning("%s is left out: not valid JSON (%s)", file, error)
        return None


# Sections with a part for each task, and others whose entries are called after tasks.
_BY_TASK = ("results", "configs", "n-samples")
_NAMED_BY_TASK = (*_BY_TASK, "versions", "n-shot", "higher_is_better", "task_hashes", "group_subtasks", "groups")


def _sound(content: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    """The content, in which every section that readers look into is an object."""
    sections = {
        name: _object(content[name], f"{file}: {name}")
        for name in (*_BY_TASK, "config", "versions", "n-shot")
        if name in content
    }
    for name in {*_BY_TASK} & sections.keys():
        sections[name] = {task: _object(part, f"{file}: {name}.{task}") for task, part in sections[name].items()}
    for task, settings in sections["configs"].items():
        if "metadata" in settings:
            place = f"{file}: configs.{task}.metadata"
            settings["metadata"] = metadata = _object(settings["metadata"], place)
            judges = metadata.get("judges")
            metadata["judges"] = [
                _object(one, f"{place}.judges") for one in (judges if isinstance(judges, list) else [])
            ]
    if "uncertainty" in (config := sections.get("config", {})):
        config["uncertainty"] = _object(config["uncertainty"], f"{file}: config.uncertainty")
    return {**content, **sections}


def results_without_secrets(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a results file holds without secrets; the name of a task or metric is none, whatever it is like."""
    by_task = {name: content[name] for name in _NAMED_BY_TASK if isinstance(content.get(name), dict)}
    others = {name: value for name, value in content.items() if name not in by_task}
    return {
        **without_secrets(others),
        **{
            name: {task: part if name == "results" else without_secrets(part) for task, part in parts.items()}
            for name, parts in by_task.items()
        },
    }


def _object(value: Any, place: str) -> dict[str, Any]:
    """A JSON object; an empty one, with a warning, where there is something else."""
    if isinstance(value, dict):
        return value
    if value is not None:
        log.warning("%s is left out: it is %r and no object", place, value)
    return {}


def _run(task: str, results: Path, content: Mapping[str, Any]) -> RunFiles:
    named = _RESULTS.fullmatch(results.name)
    suffix = f"_{named['date']}" if named and named["date"] else ""
    samples = results.parent / f"samples_{task}{suffix}.jsonl"
    beside = samples.parent == results.parent  # no file is called after a task with a slash in its name
    return RunFiles(task, results, samples if beside and _is_file(samples) else None, content)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def run_of_samples(samples: Path) -> RunFiles:
    """The run that a file of samples belongs to, with the results next to it, whatever the file is called."""
    named = _SAMPLES.fullmatch(samples.name)
    task, date = (named["task"], named["date"]) if named else (samples.stem, None)
    for results in sorted(samples.parent.glob(f"*_{date}.json" if date else "results.json")):
        content = _read(results) if results.is_file() else None
        if content is not None:
            return RunFiles(task, results, samples, content)
    log.warning("%s: no results file is next to it, so model and configuration are not known", samples)
    return RunFiles(task, None, samples, {})
