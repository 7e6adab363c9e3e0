"""Whether two runs may be compared, and what else is not the same in them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from uq_harness.comparison.pairs import Pair
from uq_harness.errors import UQHarnessError, one_of
from uq_harness.results.run import TaskRun
from uq_harness.results.settings import answer_settings, model_arguments

# What must agree, and how a message calls it.
ASPECTS = {"version": "task version", "prompt": "prompt", "judge": "judge", "split": "split"}
_MISSING = "not recorded"


def check_allowed(allowed: Collection[str]) -> None:
    """Raises unless every name is an aspect that may be allowed to differ."""
    for name in allowed:
        if name not in ASPECTS:
            raise UQHarnessError(f"--allow_different {name} is not known: it takes {one_of(list(ASPECTS))}")


def differences(pair: Pair) -> dict[str, str]:
    """What keeps two runs from being compared: aspect → the difference in words."""
    a, b = pair.baseline, pair.candidate
    found = {
        "version": _unlike(a.versions.get("task"), b.versions.get("task")),
        "prompt": _unlike_prompts(pair),
        "judge": _unlike(_judge(a), _judge(b)),
        "split": _unlike(_split(a), _split(b)),
    }
    return {aspect: difference for aspect, difference in found.items() if difference}


def refuse(pair: Pair, allowed: Collection[str]) -> None:
    """Raises where the runs differ in more than is allowed, and names every difference."""
    found = {aspect: what for aspect, what in differences(pair).items() if aspect not in allowed}
    if found:
        named = "; ".join(f"{ASPECTS[aspect]}: {what}" for aspect, what in found.items())
        flags = " ".join(f"--allow_different {aspect}" for aspect in found)
        raise UQHarnessError(f"{pair.title} cannot be compared: {named}. To compare all the same: {flags}")


def _unlike(a: object, b: object) -> str:
    return "" if a == b else f"{_MISSING if a is None else a} against {_MISSING if b is None else b}"


def _unlike_prompts(pair: Pair) -> str:
    hashes = list(zip(pair.baseline.prompt_hashes, pair.candidate.prompt_hashes, strict=True))
    unlike = sum(a != b for a, b in hashes)
    return f"{unlike} of {len(hashes)} questions were put with another prompt (prompt_hash)" if unlike else ""


def _judge(run: TaskRun) -> str:
    """Name and options of the judge, as far as they are known."""
    options = [f"{name}={value}" for name, value in run.judge_settings.items() if name != "name"]
    return f"{run.judge}({', '.join(options)})" if options else run.judge


def _split(run: TaskRun) -> str | None:
    """The data set's configuration and split; a local file is known by its questions, not by its name."""
    settings = run.task_settings
    split = settings.get("test_split") or settings.get("validation_split")
    name = settings.get("dataset_name")
    return f"{name}, {split}" if name and split else split


def settings_that_differ(pair: Pair) -> dict[str, tuple[Any, Any]]:
    """Settings of model and methods that do not agree, for the reader to know what was changed."""
    a, b = _settings(pair.baseline), _settings(pair.candidate)
    found: dict[str, tuple[Any, Any]] = {name: (a[name], b[name]) for name in a if name in b and a[name] != b[name]}
    for source in (model_arguments, answer_settings):
        x, y = source(pair.baseline), source(pair.candidate)
        for name in dict.fromkeys([*x, *y]):
            values = x.get(name), y.get(name)
            if values[0] != values[1] and name not in found and values not in found.values():
                found[name] = values
    return found


def _settings(run: TaskRun) -> dict[str, Any]:
    """What may bear on a score; which methods were computed shows anyway."""
    config = run.model_settings
    shown = ("methods", "left_out")
    uncertainty = {name: value for name, value in (config.get("uncertainty") or {}).items() if name not in shown}
    return {
        "model": run.model,
        **{name: config[name] for name in ("model_dtype", "device", "batch_size", "gen_kwargs") if name in config},
        **uncertainty,
        **{f"{name} version": version for name, version in run.versions.items()},
        "generation_kwargs": run.task_settings.get("generation_kwargs"),
    }
