"""A run of lm_eval's command line with this package's tasks: how it ends, and that what it has found is kept.

lm_eval swallows every error of saving, and finds out only when all answers are there. A run of this package tries the
output folder before its first answer, and reads its files back after they were written.
"""

from __future__ import annotations

import functools
import logging
import os
import sqlite3
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uq_harness.errors import UQHarnessError
from uq_harness.files import is_whole
from uq_harness.rendering.escape import visible

log = logging.getLogger(__name__)

WRONG_USE = 2
INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it

# About what a sample's line takes, for the trial of the output folder.
_BYTES_A_SAMPLE = 2048
_LARGEST_TRIAL = 2**26


@dataclass
class Run:
    """The run under way.

    Attributes:
        ours: Whether a model or a task of this package is in it.
        tracker: lm_eval's evaluation tracker, which knows where results go.
        use_cache: What ``--use_cache`` names.
        cache: The open response cache.
        problems: What is wrong with the files that were written.
    """

    ours: bool = False
    tracker: Any = None
    use_cache: str | None = None
    cache: Any = None
    problems: list[str] = field(default_factory=list)


_run: Run | None = None  # lm_eval's command line runs once a process


def try_output(questions: int) -> None:
    """Tries the output folder of the run under way before its first answer, with about the bytes it will need.

    Args:
        questions: Number of answers that will be logged.

    Raises:
        UQHarnessError: Nothing can be written there, or not so much.
    """
    if _run is None:
        return
    begin()
    folder = _folder(_run.tracker)
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(os.urandom(min(questions * _BYTES_A_SAMPLE, _LARGEST_TRIAL)))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UQHarnessError(
            f"--output_path {_run.tracker.output_path}: results cannot be written there ({error.strerror or error}): "
            "name another folder, or free space in this one"
        ) from error


def begin() -> str | None:
    """Tells the run under way that this package is in it.

    Returns:
        The file where lm_eval will keep this process's answers; ``None`` where the command line names none.
    """
    if _run is None:
        return None
    _run.ours = True
    rank = os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or "0"
    return None if _run.use_cache is None else f"{_run.use_cache}_rank{rank}.db"


def keep_cache(cache: Any) -> None:
    """Tells the run under way which response cache holds its answers."""
    if _run is not None:
        _run.cache = cache


def guard_command(cli: Any) -> None:
    """Makes lm_eval's command line end with a message where this package refuses, or where a run is interrupted.

    Args:
        cli: lm_eval's class ``HarnessCLI``.
    """
    if hasattr(cli.execute, "_guarded"):
        return
    original = cli.execute

    @functools.wraps(original)
    def execute(self: Any, args: Namespace) -> None:
        with _one_run() as run:
            run.use_cache = getattr(args, "use_cache", None)
            try:
                original(self, args)
                if run.problems:
                    raise UQHarnessError("; ".join(run.problems))
            except UQHarnessError as error:
                _end(str(error), WRONG_USE)
            except sqlite3.Error as error:
                if not run.ours:
                    raise
                _end(f"--use_cache cannot be read or written ({error}): choose another path", WRONG_USE)
            except KeyboardInterrupt:
                if not run.ours:
                    raise
                _end(_how_to_go_on(run), INTERRUPTED)

    execute._guarded = True  # type: ignore[attr-defined]
    cli.execute = execute


def guard_tracker(tracker: Any) -> None:
    """Has the files of a run of this package read back when they were written.

    Args:
        tracker: lm_eval's class ``EvaluationTracker``.
    """
    if hasattr(tracker.__init__, "_guarded"):
        return
    initialise = tracker.__init__
    save_results, save_samples = tracker.save_results_aggregated, tracker.save_results_samples

    @functools.wraps(initialise)
    def remember(self: Any, *args: Any, **kwargs: Any) -> None:
        initialise(self, *args, **kwargs)
        if _run is not None:
            _run.tracker = self

    @functools.wraps(save_results)
    def results_kept(self: Any, results: dict[str, Any], samples: dict[str, Any] | None = None) -> None:
        _keep(self, lambda: save_results(self, results=results, samples=samples), _results_file, is_whole)

    @functools.wraps(save_samples)
    def samples_kept(self: Any, task_name: str, samples: Sequence[Mapping[str, Any]]) -> None:
        def save() -> None:  # lm_eval changes the samples that it saves, one after another
            save_samples(self, task_name=task_name, samples=map(dict, samples))

        def file(tracker: Any) -> Path | None:
            folder = _folder(tracker)
            return folder and folder / f"samples_{task_name}_{_date(tracker)}.jsonl"

        _keep(self, save, file, lambda path: is_whole(path, len(samples)))

    remember._guarded = True  # type: ignore[attr-defined]
    tracker.__init__ = remember
    tracker.save_results_aggregated, tracker.save_results_samples = results_kept, samples_kept


@contextmanager
def _one_run() -> Iterator[Run]:
    global _run
    before, _run = _run, Run()
    try:
        yield _run
    finally:
        _run = before


def _end(message: str, status: int) -> None:
    print(f"uq-harness: {visible(message)}", file=sys.stderr)
    sys.exit(status)


def _how_to_go_on(run: Run) -> str:
    if run.cache is not None:
        run.cache.commit()  # what another thread has yet to write
        return (
            f"interrupted; the {len(run.cache) - 1} answers so far are kept in {run.cache.filename}: the same command "
            "again goes on from there"
        )
    if run.use_cache is not None:
        return (
            f"interrupted; the answers so far are kept in --use_cache {run.use_cache}: the same command again goes on "
            "from there"
        )
    return (
        "interrupted; the answers so far are lost, since nothing kept them: with --use_cache PATH, the same command "
        "again goes on where it stopped"
    )


# ------------------------------------------------------------------ files


def _folder(tracker: Any) -> Path | None:
    """The folder that lm_eval writes to; ``None`` where it writes nothing."""
    if tracker is None or not tracker.output_path:
        return None
    path = Path(tracker.output_path)
    return path.parent if path.suffix == ".json" else path / str(tracker.general_config_tracker.model_name_sanitized)


def _results_file(tracker: Any) -> Path | None:
    folder, path = _folder(tracker), Path(tracker.output_path or "")
    name = path.stem if path.suffix == ".json" else "results"
    return folder and folder / f"{name}_{_date(tracker)}.json"


def _date(tracker: Any) -> str:
    """The part of file names that lm_eval sets when it begins to save."""
    return getattr(tracker, "date_id", "")


def _keep(
    tracker: Any, save: Callable[[], None], file_of: Callable[[Any], Path | None], whole: Callable[[Path], bool]
) -> None:
    """Saves; where the file then is not whole, saves to a folder for temporary files, and says so when the run ends."""
    save()
    file = file_of(tracker) if _run is not None and _run.ours else None
    if file is None or _run is None or whole(file):
        return
    torn, place = file, tracker.output_path
    tracker.output_path = tempfile.mkdtemp(prefix="lm_eval_")
    try:
        save()
        rescued = file_of(tracker)
    finally:
        tracker.output_path = place
    if rescued is not None and whole(rescued):
        with suppress(OSError):
            torn.unlink()
        _run.problems.append(f"{torn} could not be written whole: what belongs in it is in {rescued}")
    else:
        _run.problems.append(f"{torn} could not be written whole, nor could a copy in {tempfile.gettempdir()}")
