"""Runs as tables of pandas, for a notebook, and as Parquet files, for any other program."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from uq_harness.errors import UQHarnessError
from uq_harness.files import as_text, user_path
from uq_harness.rendering.escape import encodable
from uq_harness.results.load import load_runs
from uq_harness.results.run import TaskRun
from uq_harness.results.settings import answer_settings

_MEASURES = ("auroc", "aurc", "prr")
_STDERR = "_stderr"


@dataclass(frozen=True, eq=False, repr=False)
class Frames:
    """What runs left behind, as four tables; ``run`` joins them, and ``run`` with ``sample`` the last two.

    Attributes:
        runs: One row a run: a model's answers to a task under a judge.

            - ``run``: its number, from 0.
            - ``model``, ``task``, ``judge``: names as lm_eval prints them.
            - ``date``: when it started, UTC; missing where no file tells.
            - ``samples``: number of judged answers.
            - ``accuracy``: share of right ones, 0 to 1, ``nan`` without any.
            - ``settings``: what the run can be told apart by (seed, dtype, few-shot, …), a JSON object.
            - ``lm_eval``, ``transformers``, ``task_version``: versions, missing where unknown.
            - ``file``: name of the results file.
        metrics: What lm_eval's results file says, one row a number: ``run``, ``measure`` (``accuracy``, ``auroc``,
            ``prr``, ``aurc``, …), ``method`` (missing for a measure of the answers alone), ``value``, and ``stderr``,
            its standard error in the same unit, ``nan`` where there is none.
        samples: One row an answer.

            - ``run``, ``sample``: the run, and the answer's place in it, from 0.
            - ``question_id``: a name of question and references, the same in every run, and twice where one run
              asked twice.
            - ``question``, ``references`` (a list), ``answer``: texts.
            - ``correct``: 1 for a right answer, 0 for a wrong one.
            - ``correctness``: the judge's score.
            - ``answer_tokens``: length, ``nan`` where unknown.
            - further columns: cost by stage, in seconds (``decode_seconds``, …) or counts (``nli_pairs``, …).
        scores: One row an answer and method: ``run``, ``sample``, ``question_id``, ``method``, ``value`` (higher
            meaning less certain, ``nan`` where undefined), ``correct``.
    """

    runs: pd.DataFrame
    metrics: pd.DataFrame
    samples: pd.DataFrame
    scores: pd.DataFrame

    def to_parquet(self, folder: str | Path) -> list[Path]:
        """Writes ``runs.parquet``, ``metrics.parquet``, ``samples.parquet`` and ``scores.parquet``.

        Args:
            folder: Where to; it is made if it does not exist, and files of these names are replaced.

        Returns:
            The files.

        Raises:
            UQHarnessError: They cannot be written there.
        """
        place = user_path(folder, "folder")
        files = [place / f"{name}.parquet" for name in self._names()]
        try:
            place.mkdir(parents=True, exist_ok=True)
            for name, file in zip(self._names(), files, strict=True):
                getattr(self, name).to_parquet(file, index=False)
        except OSError as error:
            raise UQHarnessError(f"{str(place)!r} cannot be written: {error.strerror or error}") from error
        return files

    def __repr__(self) -> str:
        return f"Frames({', '.join(f'{name}: {len(getattr(self, name))} rows' for name in self._names())})"

    def _names(self) -> list[str]:
        return [field.name for field in fields(self)]


def load(results: str | Path | Iterable[str | Path], *, repeated: bool = False) -> Frames:
    """Reads what runs of lm_eval with uq-harness wrote, as DataFrames.

    Args:
        results: Results files, samples files, or folders, which are searched with all folders in them.
        repeated: Whether to take every run of a model on a task with the same settings, and not the newest only.

    Raises:
        UQHarnessError: A path does not exist, or holds no results of uq-harness.

    >>> load("/nowhere")
    Traceback (most recent call last):
        ...
    uq_harness.errors.UQHarnessError: '/nowhere' does not exist: give files or folders that lm_eval wrote with
    --output_path and --log_samples
    """
    runs = load_runs(results, repeated=repeated, without_samples=True)
    return Frames(
        runs=pd.DataFrame([_run(number, run) for number, run in enumerate(runs)]),
        metrics=_joined([_metrics(number, run) for number, run in enumerate(runs)], "measure", "method"),
        samples=_joined([_samples(number, run) for number, run in enumerate(runs)]),
        scores=_joined([_scores(number, run) for number, run in enumerate(runs)], "method"),
    )


def _run(number: int, run: TaskRun) -> dict[str, Any]:
    versions = run.versions
    return {
        "run": number,
        "model": run.model,
        "task": run.task,
        "judge": run.judge,
        "date": pd.Timestamp(run.date) if run.date else pd.NaT,
        "samples": len(run),
        "accuracy": run.accuracy,
        "settings": as_text(answer_settings(run)),
        "lm_eval": versions.get("lm_eval"),
        "transformers": versions.get("transformers"),
        "task_version": versions.get("task"),
        "file": encodable(run.path.name),
    }


def _metrics(number: int, run: TaskRun) -> pd.DataFrame:
    rows = []
    for name, value in run.metrics.items():
        if name.endswith(_STDERR) and name.removesuffix(_STDERR) in run.metrics:
            continue
        measure, _, method = name.partition("_")
        of_method = measure in _MEASURES and method
        rows.append(
            {
                "run": number,
                "measure": measure if of_method else encodable(name),
                "method": encodable(method) if of_method else None,
                "value": value,
                "stderr": run.metrics.get(name + _STDERR, math.nan),
            }
        )
    return pd.DataFrame(rows, columns=["run", "measure", "method", "value", "stderr"])


def _samples(number: int, run: TaskRun) -> pd.DataFrame:
    columns: dict[str, Any] = {
        "run": np.full(len(run), number),
        "sample": np.arange(len(run)),
        "question_id": list(run.keys),
        "question": list(map(encodable, run.questions)),
        "references": [list(map(encodable, some)) for some in run.references],
        "answer": list(map(encodable, run.answers)),
        "correct": run.correct,
        "correctness": run.correctness,
        "answer_tokens": run.answer_tokens,
    }
    return pd.DataFrame({**run.costs, **columns})[[*columns, *(name for name in run.costs if name not in columns)]]


def _scores(number: int, run: TaskRun) -> pd.DataFrame:
    count, answers = len(run.uncertainty), len(run)
    return pd.DataFrame(
        {
            "run": np.full(count * answers, number),
            "sample": np.tile(np.arange(answers), count),
            "question_id": list(run.keys) * count,
            "method": np.repeat(np.array(list(run.uncertainty), dtype=object), answers),
            "value": np.concatenate([np.empty(0), *run.uncertainty.values()]),
            "correct": np.tile(run.correct, count),
        }
    )


def _joined(frames: Sequence[pd.DataFrame], *categories: str) -> pd.DataFrame:
    """The rows of all runs; empty tables keep their columns and say nothing of types."""
    full = [frame for frame in frames if len(frame)] or list(frames[:1])
    return pd.concat(full, ignore_index=True).astype(dict.fromkeys(categories, "category"))
