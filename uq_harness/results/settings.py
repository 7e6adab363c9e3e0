"""What runs of one model are told apart by: everything that changes a prompt, an answer or a verdict."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from uq_harness.rendering.paths import without_paths
from uq_harness.results.run import TaskRun

# Model arguments that are not settings of answers: what is in the model's name, and where and how fast it runs.
_NAMES = ("pretrained", "methods", "revision")
_HOW = ("device", "parallelize", "device_map_option", "max_memory_per_gpu", "offload_folder", "batch_size")
PROMPTS = "prompts"
_SHORT = 40


def answer_settings(run: TaskRun) -> dict[str, str]:
    """Settings by name, as short texts; one that is not set, or not known, is left out.

    ``methods=`` is none of them: it only says which scores were computed.
    """
    return {str(name): _short(value) for name, value in _settings(run) if value not in (None, "", [], {})}


def repeated_runs(runs: Sequence[TaskRun]) -> list[list[TaskRun]]:
    """Runs in groups of those that say and ask the same.

    In a group, model, task, judge and settings agree, and a question that several were asked was put with the same
    prompt, as far as files tell.
    """
    groups: dict[tuple[object, ...], list[list[TaskRun]]] = defaultdict(list)
    for run in runs:
        same = groups[run.model, run.task, run.judge, *sorted(answer_settings(run).items())]
        group = next((one for one in same if all(_same_prompts(run, other) for other in one)), None)
        if group is None:
            same.append([run])
        else:
            group.append(run)
    return [group for same in groups.values() for group in same]


def telling_settings(runs: Sequence[TaskRun]) -> list[dict[str, str]]:
    """For each run the settings in which runs of its model on any one task under one judge differ.

    Where settings agree and prompts do not, ``prompts`` has a short name of the run's prompts.
    """
    settings = [answer_settings(run) for run in runs]
    differing: dict[str, set[str]] = defaultdict(set)
    for rows in _rows_by(runs, lambda run: (run.model, run.task, run.judge)):
        names = {name for row in rows for name in settings[row]}
        found = {name for name in names if len({settings[row].get(name) for row in rows}) > 1}
        alike: dict[tuple[object, ...], list[TaskRun]] = defaultdict(list)
        for row in rows:
            alike[tuple(sorted(settings[row].items()))].append(runs[row])
        if any(len(repeated_runs(same)) > 1 for same in alike.values()):
            found.add(PROMPTS)
        differing[runs[rows[0]].model] |= found
    told = []
    for run, mine in zip(runs, settings, strict=True):
        known = {**mine, PROMPTS: _name_of_prompts(run)} if PROMPTS in differing[run.model] else mine
        told.append({name: known[name] for name in sorted(differing[run.model]) if name in known})
    return told


def as_label(settings: Mapping[str, str]) -> str:
    """Settings in a line; of a path, the last part.

    >>> as_label({"limit": "40", "tokenizer": "/home/me/tokenizers/small"})
    'limit=40, tokenizer=small'
    """
    return ", ".join(f"{name}={value}" for name, value in without_paths(settings).items())


def _settings(run: TaskRun) -> Iterator[tuple[str, Any]]:
    config, task = run.model_settings, run.task_settings
    arguments = model_arguments(run)
    yield from ((key, value) for key, value in arguments.items() if key not in _NAMES and not key.endswith(_HOW))
    yield "model_type", config.get("model")
    yield "model_sha", _sha(config.get("model_sha"))
    yield "dtype", str(config.get("model_dtype") or arguments.get("dtype") or "").removeprefix("torch.")
    yield "limit", _count(config.get("limit"))
    yield "seed", arguments.get("seed", config.get("torch_seed"))
    yield from _object(task.get("generation_kwargs")).items()
    yield from _object(config.get("gen_kwargs")).items()
    yield "system_instruction", run.configuration.get("system_instruction")
    yield "chat_template", _sha(run.configuration.get("chat_template_sha"))
    yield from ((name, task.get(name)) for name in ("doc_to_text", "description", "gen_prefix"))
    yield "split", task.get("test_split") or task.get("validation_split")
    yield "dataset_name", task.get("dataset_name")
    yield "data_files", _object(task.get("metadata")).get("data_files")
    yield from _shots(run)
    yield "task_version", run.versions.get("task")
    yield "lm_eval", run.versions.get("lm_eval")
    yield from ((f"{run.judge} {key}", value) for key, value in run.judge_settings.items() if key != "name")


def _shots(run: TaskRun) -> Iterator[tuple[str, Any]]:
    """Worked examples in the prompt; without any, how they would have been chosen and put changes nothing."""
    shots = _object(run.configuration.get("n-shot")).get(run.task, run.task_settings.get("num_fewshot"))
    if shots:
        yield "num_fewshot", shots
        yield "fewshot_as_multiturn", run.configuration.get("fewshot_as_multiturn")
        yield "fewshot_seed", run.model_settings.get("fewshot_seed")


def model_arguments(run: TaskRun) -> dict[str, Any]:
    """The model's arguments, which lm_eval notes as an object or as one line."""
    arguments = run.model_settings.get("model_args")
    if isinstance(arguments, str):
        return {name: value for name, _, value in (part.partition("=") for part in arguments.split(",")) if name}
    return {str(name): value for name, value in _object(arguments).items()}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> Any:
    """A whole number without its ``.0``, which lm_eval puts behind every limit."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _sha(value: Any) -> str | None:
    return str(value)[:8] if value else None


def _short(value: Any) -> str:
    """A value as a text for a label; of a long one its beginning, and a hash that tells it from others like it.

    A long path is cut to its last part first.
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    if len(text) <= _SHORT:
        return text
    return (
        f"{without_paths(text)[: _SHORT - 10]}…{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    )


def _same_prompts(run: TaskRun, other: TaskRun) -> bool:
    known = {key: name for key, name in zip(other.keys, other.prompt_hashes, strict=True) if name}
    return all(known.get(key, name) == name for key, name in zip(run.keys, run.prompt_hashes, strict=True) if name)


def _name_of_prompts(run: TaskRun) -> str:
    return hashlib.sha256("".join(sorted(run.prompt_hashes)).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _rows_by(runs: Sequence[TaskRun], key: Any) -> list[list[int]]:
    groups: dict[object, list[int]] = defaultdict(list)
    for row, run in enumerate(runs):
        groups[key(run)].append(row)
    return list(groups.values())
