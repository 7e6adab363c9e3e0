"""Whether runs may be submitted to a shared board: whole, consistent, told apart, and without paths and keys."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from uq_harness import functional
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.metrics import too_few
from uq_harness.functional import MEASURES
from uq_harness.rendering.paths import is_called_after_a_path, paths_in
from uq_harness.rendering.secrets import line_holds_key
from uq_harness.report.write import collected_warnings, read_with_warnings
from uq_harness.results.files import RunFiles, find_files, results_without_secrets
from uq_harness.results.run import TaskRun

_CLEAN = "`uq-harness leaderboard RUNS --submission FOLDER` writes copies without"
_PLACES = 3  # that a message names
_VERSIONS = {"task": "versions", "lm_eval": "lm_eval_version", "transformers": "transformers_version"}
# Sums and means of many numbers differ by rounding from machine to machine.
_ROUNDING = {"rel_tol": 1e-6, "abs_tol": 1e-9}


class Finding(NamedTuple):
    """Something about a file."""

    file: str
    text: str


@dataclass(frozen=True)
class Checked:
    """What a check has found.

    Attributes:
        faults: What keeps a run from being submitted.
        notes: What a reviewer should know.
        runs: Number of runs, one a task and judge.
    """

    faults: tuple[Finding, ...]
    notes: tuple[Finding, ...]
    runs: int


def check_submission(paths: Sequence[str | Path]) -> Checked:
    """Checks all runs in files and folders.

    Results and samples must be whole and belong together, every number of the results must be that of the samples, and
    the results must name versions, hold no absolute path and nothing that may be a key.

    Raises:
        UQHarnessError: A path does not exist, or a folder holds no file named as lm_eval names them.
    """
    faults: list[Finding] = []
    notes: list[Finding] = []
    count = 0
    found: dict[Path, list[RunFiles]] = {}
    for files in _find(paths, faults):
        found.setdefault(files.path, []).append(files)
    for path, parts in found.items():
        shown = _shown(path, paths)
        for name in filter(is_called_after_a_path, Path(shown).parts):
            faults.append(Finding(shown, f"the folder {name} is called after a path: {_CLEAN} it"))
        faults += [Finding(shown, text) for text in _faults_of_a_file(path, parts)]
        try:
            runs, warnings = read_with_warnings([path])
        except UQHarnessError as error:
            faults.append(Finding(shown, _without(str(error), path)))
            continue
        count += len(runs)
        # Answers without a verdict are counted with those of the results.
        faults += [Finding(shown, _without(one, path)) for one in warnings if " without a verdict of " not in one]
        for run in runs:
            name = f"{run.task} ({run.judge})"
            faults += [Finding(shown, f"{name}: {text}") for text in _faults_of_a_run(run)]
            notes += [Finding(shown, f"{name}: {text}") for text in _notes(run)]
    return Checked(tuple(dict.fromkeys(faults)), tuple(notes), count)


def _find(paths: Sequence[str | Path], faults: list[Finding]) -> list[RunFiles]:
    """All runs; files that cannot be read are faults."""
    with collected_warnings(logging.getLogger("uq_harness.results")) as messages:
        files = find_files(paths)
    faults += [Finding("", message) for message in messages if ": no results file is next to it" not in message]
    return files


def _faults_of_a_file(path: Path, parts: Sequence[RunFiles]) -> Iterator[str]:
    """What is wrong with a results file, and with the samples next to it."""
    if parts[0].results is None:
        yield "there is no results file for these samples: submit both"
        return
    raw = json.loads(path.read_bytes())
    places = [f"{place}: {found}" for place, found in paths_in(raw)]
    if places:
        yield f"holds {_counted(places, 'absolute path')} ({_some(places)}): {_CLEAN} them"
    secrets = list(_differing(raw, results_without_secrets(raw)))
    if secrets:
        yield f"holds what may be {_counted(secrets, 'key')} ({_some(secrets)}): {_CLEAN} them"
    if not raw.get("model_name"):
        yield "does not name the model (model_name)"
    for part in parts:
        if part.samples is None:
            yield f"{part.task} has no samples next to it: run lm_eval with --log_samples"
        else:
            yield from _faults_of_samples(part, part.samples)


def _faults_of_samples(part: RunFiles, samples: Path) -> Iterator[str]:
    """Whether a file of samples is the one that lm_eval wrote with the results."""
    from lm_eval.utils import hash_string

    hashes, keys, ended = [], [], True
    with samples.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            ended = line.endswith(b"\n")
            if line_holds_key(line):
                keys.append(f"line {number}")
            hashes.append(_hashes(line))
    if keys:
        yield f"{samples.name} holds what may be {_counted(keys, 'key')} ({_some(keys)}): run again without it"
    if not ended:
        yield f"{samples.name} ends in the middle of a line: copy it again"
    known = (part.content.get("task_hashes") or {}).get(part.task)
    if known is None:
        yield f"{part.task}: the results have no task_hashes, so that samples cannot be told to be theirs"
    elif None in hashes or hash_string("".join(map(str, hashes))) != known:
        yield (
            f"{samples.name} is not the file that was written with these results (task_hashes): questions or prompts "
            "are missing, added, changed or in another order"
        )


def _hashes(line: bytes) -> str | None:
    """What lm_eval's hash of a task is made of; ``None`` for a line that cannot be read."""
    try:
        sample = json.loads(line)
        return str(sample["doc_hash"] + sample["prompt_hash"] + sample["target_hash"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _faults_of_a_run(run: TaskRun) -> Iterator[str]:
    """Whether a run's results are those of its samples."""
    for name, key in _VERSIONS.items():
        if name not in run.versions:
            yield f"the version of {name} is not named ({key})"
    if not len(run):
        return
    answers = len(run) + len(run.unjudged)
    if run.reported_questions != answers:
        yield f"the results tell of {run.reported_questions} answers (n-samples), and the samples have {answers}"
    verdicts = run.metrics.get("undefined_verdicts", 0)
    if verdicts != len(run.unjudged):
        yield f"the results tell of {verdicts:g} answers without a verdict, and the samples have {len(run.unjudged)}"
    missing = sum(int(np.isnan(scores).sum()) for scores in run.uncertainty.values())
    counted = run.metrics.get("undefined_scores", 0)
    if not run.unjudged and counted != missing:
        yield f"the results tell of {counted:g} undefined scores, and the samples have {missing}"
    for method, scores in run.uncertainty.items():
        if infinite := int(np.isinf(scores).sum()):
            yield f"{infinite} scores of {method} are infinite"
    if not run.uncertainty:
        yield "there are no uncertainty scores: run with --model uq-hf, or score the answers"
    yield from _wrong_numbers(run)


def _wrong_numbers(run: TaskRun) -> Iterator[str]:
    """Numbers of the results that the samples do not give."""
    expected = {"accuracy": run.accuracy}
    for method, scores in run.uncertainty.items():
        finite = np.where(np.isfinite(scores), scores, np.nan)
        for measure in MEASURES:
            expected[f"{measure}_{method}"] = float(getattr(functional, measure)(finite, run.correct))
        expected[f"auroc_{method}_stderr"] = float(functional.auroc_stderr(finite, run.correct))
    wrong = []
    for name, value in expected.items():
        told = run.metrics.get(name, math.nan)
        if not (math.isclose(told, value, **_ROUNDING) or (math.isnan(told) and math.isnan(value))):
            wrong.append(f"{name} {_number(told)}, by the samples {_number(value)}")
    if wrong:
        yield f"{_counted(wrong, 'number')} of the results {_are(wrong)} not that of the samples: {_some(wrong)}"
    known = {f"{measure}_{method}" for method in run.uncertainty for measure in MEASURES}
    unknown = [
        name
        for name in run.metrics
        if name.partition("_")[0] in MEASURES and not name.endswith("_stderr") and name not in known
    ]
    if unknown:
        yield f"the results have {_some(unknown)}, and the samples no such scores"


def _notes(run: TaskRun) -> Iterator[str]:
    """What a reviewer should know of a run that may be without fault."""
    for method, scores in run.uncertainty.items():
        if undefined := int(np.isnan(scores).sum()):
            yield f"{method} is undefined for {undefined} of {len(run)} answers"
    if run.unjudged:
        yield f"{len(run.unjudged)} answers have no verdict"
    if run.duplicates:
        yield f"{run.duplicates} answers are to questions that were asked before"
    if len(run) and (few := too_few(int((run.correct == 1).sum()), int((run.correct == 0).sum()))):
        yield f"{few}: AUROC, AURC and PRR mean little"


def _differing(raw: Any, clean: Any, place: str = "") -> Iterator[str]:
    """Places of what is not in a cleaned copy as it was."""
    if isinstance(raw, Mapping) and isinstance(clean, Mapping):
        for key, inner in raw.items():
            where = f"{place}.{key}" if place else str(key)
            if key in clean:
                yield from _differing(inner, clean[key], where)
            else:
                yield where
    elif isinstance(raw, list) and isinstance(clean, list):
        for number, (inner, other) in enumerate(zip(raw, clean, strict=True)):
            yield from _differing(inner, other, f"{place}[{number}]")
    elif raw != clean and not (raw != raw and clean != clean):
        yield place


def _shown(path: Path, given: Sequence[str | Path]) -> str:
    """A file as seen from the folder that was given."""
    for folder in given:
        root = Path(folder).resolve()
        if path.is_relative_to(root) and path != root:
            return path.relative_to(root).as_posix()
    return path.name


def _without(message: str, path: Path) -> str:
    """A message about a file without its folder, and without its name where it begins with that."""
    return message.replace(f"{path}: ", "").replace(f"{path.parent}/", "")


def _counted(found: Sequence[object], noun: str) -> str:
    return f"{len(found)} {noun}{'' if len(found) == 1 else 's'}"


def _are(found: Sequence[object]) -> str:
    return "is" if len(found) == 1 else "are"


def _some(found: Sequence[str]) -> str:
    more = len(found) - _PLACES
    return "; ".join(found[:_PLACES]) + (f"; and {more} more" if more > 0 else "")


def _number(value: float) -> str:
    return "missing" if math.isnan(value) else f"{value:.6g}"
