"""From files to runs: which are read, which are too old, which have nothing to read."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from uq_harness.errors import UQHarnessError
from uq_harness.rendering.bar import bar_if_slow
from uq_harness.rendering.escape import encodable
from uq_harness.results.files import WHAT_TO_GIVE, RunFiles, find_files
from uq_harness.results.run import TaskRun
from uq_harness.results.samples import Column, read_samples
from uq_harness.results.settings import repeated_runs

log = logging.getLogger(__name__)
Texts = dict[str, tuple[str, tuple[str, ...]]]


def load_runs(
    paths: str | Path | Iterable[str | Path], *, repeated: bool = False, without_samples: bool = False
) -> list[TaskRun]:
    """Reads what lm_eval wrote: one run a model, task, judge and settings, sorted by these.

    Lines that a killed run cut off, answers without a verdict, files of other tasks and of other programs are left out
    with a warning. Undefined scores are ``nan``.

    Args:
        paths: Results files, samples files, or folders, which are searched with all folders in them.
        repeated: Whether to return every run of a model on a task, oldest first, and not the newest only of those with
            the same settings and prompts.
        without_samples: Whether to return runs that logged no samples, with their ``metrics`` and no answers.

    Raises:
        UQHarnessError: A path does not exist or holds no results, or nothing remains to be read.

    >>> load_runs("/nowhere")
    Traceback (most recent call last):
        ...
    uq_harness.errors.UQHarnessError: '/nowhere' does not exist: give files or folders that lm_eval wrote with
    --output_path and --log_samples
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    files = find_files(given)
    if not without_samples:
        files = [run for run in files if _has_samples(run)]
    texts: Texts = {}
    size = sum(run.samples.stat().st_size for run in files if run.samples is not None)
    with bar_if_slow(what="Reading samples", unit="B", total=size) as bar:
        runs = [run for found in files for run in _read(found, texts, bar.update)]
    if not runs:
        raise UQHarnessError(f"{' '.join(map(str, given))}: no samples of a task of uq-harness to read: {WHAT_TO_GIVE}")
    runs.sort(key=lambda run: (run.model, run.task, run.judge, run.date or datetime.min.replace(tzinfo=UTC)))
    return runs if repeated else _newest(runs)


def _has_samples(run: RunFiles) -> bool:
    if run.samples is None:
        log.warning("%s: %s is left out, since it has no samples: run lm_eval with --log_samples", run.path, run.task)
    return run.samples is not None


def _read(files: RunFiles, texts: Texts, done: Callable[[int], object]) -> list[TaskRun]:
    columns = {} if files.samples is None else read_samples(files.samples, texts, done)
    if files.samples is None:
        columns = {judge: Column(files.path) for judge in _judges(files)}
    return [_run(files, judge, column) for judge, column in columns.items()]


def _judges(files: RunFiles) -> list[str]:
    """Judges that the results speak of; none for a task of another package."""
    metrics = files.content["results"].get(files.task) or {}
    return sorted({key.partition(",")[2] for key in metrics if key.startswith("accuracy,")})


def _run(files: RunFiles, judge: str, column: Column) -> TaskRun:
    return TaskRun(
        model=_model(files),
        task=files.task,
        judge=judge,
        date=files.date,
        path=files.path,
        keys=tuple(column.keys),
        questions=tuple(column.questions),
        references=tuple(column.references),
        answers=tuple(column.answers),
        prompt_hashes=tuple(column.prompt_hashes),
        answer_tokens=np.array(column.answer_tokens),
        correct=np.array(column.correct, dtype=np.int64),
        correctness=np.array(column.correctness),
        uncertainty=column.uncertainty.arrays(),
        costs=column.costs.arrays(),
        metrics=_metrics(files, judge),
        configuration={key: value for key, value in files.content.items() if key != "results"},
        unjudged=tuple(column.unjudged),
        samples=files.samples,
        offsets=np.array(column.offsets, dtype=np.int64),
    )


def _model(files: RunFiles) -> str:
    """The name that lm_eval prints; without a results file, the folder, which lm_eval names after the model."""
    name = encodable(str(files.content.get("model_name") or files.path.parent.name))
    revision = (files.content.get("config") or {}).get("model_revision") or "main"
    return name if revision == "main" else f"{name}@{revision}"


def _metrics(files: RunFiles, judge: str) -> dict[str, float]:
    """The judge's numbers without the judge's name; lm_eval writes texts where there is no number."""
    results: Mapping[str, Any] = (files.content.get("results") or {}).get(files.task) or {}
    found = {name.removesuffix(f",{judge}"): value for name, value in results.items() if name.endswith(f",{judge}")}
    return {name: _as_float(value) for name, value in found.items() if _is_number(value)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _as_float(value: float) -> float:
    """A number of a results file; ``nan`` for one of hundreds of digits, which is none of ours."""
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _newest(runs: list[TaskRun]) -> list[TaskRun]:
    """The last of repeated runs; what the earlier ones have beyond it is named.

    Runs of one model on one task that differ in settings or prompts are not repetitions: all of them stay.
    """
    groups = repeated_runs(runs)
    for repeats in groups:
        if len(repeats) > 1:
            newest = repeats[-1]
            lost = {method for run in repeats for method in run.uncertainty} - set(newest.uncertainty)
            log.warning(
                "%s on %s (%s) was run %d times: only the newest is read, %s%s",
                *(newest.model, newest.task, newest.judge, len(repeats), newest.path),
                f", which lacks {', '.join(sorted(lost))}" if lost else "",
            )
    kept = {id(repeats[-1]) for repeats in groups}
    return [run for run in runs if id(run) in kept]
