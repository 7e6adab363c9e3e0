"""Copies of runs for a shared board: results without paths of the machine and without keys, and the same samples."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from uq_harness.errors import UQHarnessError
from uq_harness.files import plain, write_whole
from uq_harness.rendering.paths import name_of_model, without_paths
from uq_harness.rendering.secrets import line_holds_key
from uq_harness.report.run import short_names
from uq_harness.results.files import RunFiles, find_files

_LINES = 5  # that a message names
_NOT_A_NAME = '<>:"/\\|?*'


def write_submission(paths: Sequence[str | Path], folder: Path) -> list[Path]:
    """Copies results and samples into ``folder/MODEL/``.

    Results lose absolute paths, keys and what lm_eval notes of the machine; samples are copied as they are.
    Nothing is written where samples hold what may be a key.

    Args:
        paths: Files or folders that lm_eval wrote.
        folder: Where to; made if it does not exist.

    Returns:
        The files.

    Raises:
        UQHarnessError: A run has no samples or no results file, two runs or two models would have one name, or samples
            hold what may be a key.
    """
    found = find_files(paths)
    for run in found:
        if run.results is None or run.samples is None:
            missing = "samples (--log_samples)" if run.samples is None else "a results file next to it"
            raise UQHarnessError(f"{run.path}: {run.task} has no {missing}: leave it out, or run it again")
    models = sorted({_model(run) for run in found})
    _refuse_models_of_one_name(models)
    names = short_names(models)
    results: dict[Path, Path] = {}
    samples: dict[Path, Path] = {}
    for run in found:
        assert run.results is not None
        assert run.samples is not None
        place = folder / _name_of_a_folder(names[_model(run)])
        results[run.results] = _claimed(place / run.results.name, run.results, results)
        samples[run.samples] = _claimed(place / run.samples.name, run.samples, samples)
    for file in samples:
        _refuse_keys(file)
    contents = {run.results: run.content for run in found}
    for source, target in results.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(plain(without_paths(_of_the_run(contents[source]))), indent=2, ensure_ascii=False)
        write_whole(target, text + "\n")
    for source, target in samples.items():
        shutil.copyfile(source, target)
    return [*results.values(), *samples.values()]


def _refuse_models_of_one_name(models: Sequence[str]) -> None:
    known: dict[str, str] = {}
    for model in models:
        other = known.setdefault(name_of_model(model), model)
        if other != model:
            raise UQHarnessError(
                f"{other} and {model} would both be the model {name_of_model(model)}: submit each into a folder of its "
                "own if they are the same model, or rename one's folder and run it again"
            )


def _refuse_keys(samples: Path) -> None:
    with samples.open("rb") as lines:
        found = [number for number, line in enumerate(lines, 1) if line_holds_key(line)]
    if found:
        named = ", ".join(map(str, found[:_LINES])) + (f" and {len(found) - _LINES} more" if found[_LINES:] else "")
        raise UQHarnessError(
            f"{samples}: line{'' if len(found) == 1 else 's'} {named}: what may be a key (a long word that begins with "
            "hf_, sk- or the like). Samples are copied as they are: take it out of the questions or the prompt, and "
            "run lm_eval again"
        )


def _of_the_run(content: object) -> object:
    """Results without what tells of the machine and of nothing else."""
    assert isinstance(content, dict)
    return {name: value for name, value in content.items() if name != "pretty_env_info"}


def _name_of_a_folder(name: str) -> str:
    """A model's name as one that every system takes for a folder; ``model`` where only dots and blanks are left."""
    letters = ("_" if letter in _NOT_A_NAME or not letter.isprintable() else letter for letter in name)
    return "".join(letters).strip(" ").rstrip(". ") or "model"


def _model(run: RunFiles) -> str:
    return str(run.content.get("model_name") or run.path.parent.name)


def _claimed(target: Path, source: Path, taken: dict[Path, Path]) -> Path:
    other = next((one for one, place in taken.items() if place == target and one != source), None)
    if other is not None:
        raise UQHarnessError(f"{source} and {other} would both be {target}: submit one of them")
    if target.resolve() == source.resolve():
        raise UQHarnessError(f"--submission {target.parent.parent} would replace {source}: choose another folder")
    return target
