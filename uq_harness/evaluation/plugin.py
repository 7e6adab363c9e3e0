"""Registration with lm_eval.

lm_eval 0.4.13 discovers no plug-ins by itself. Later versions read the entry points that setup.cfg declares; where they
do, these functions step aside.
"""

from __future__ import annotations

import functools
import importlib
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import Any

from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.includes import left_out, refuse_left_out, register_includes, tasks_folder

__all__ = [
    "MODEL",
    "check_lm_eval",
    "guard_command",
    "guard_tracker",
    "register_models",
    "register_tasks",
    "tasks_folder",
]

MODEL = "uq-hf"


def check_lm_eval() -> None:
    """Raises where lm_eval's version is one that this package does not know from inside.

    Raises:
        UQHarnessError: It is outside of the bounds in setup.cfg.
    """
    from packaging.requirements import Requirement  # commands that only tell something start without it

    try:
        found = version("lm_eval")
        requirements = map(Requirement, distribution("uq-harness").requires or ())
    except PackageNotFoundError:  # a source folder on the path, whose version nothing tells
        return
    wanted = next(one.specifier for one in requirements if one.name == "lm-eval")
    if not wanted.contains(found, prereleases=True):
        raise UQHarnessError(
            f"lm_eval {found} is installed, and this version of uq-harness works with lm_eval{wanted}: "
            f"pip install 'lm-eval{wanted}', or install a newer uq-harness from its source"
        )


def register_models() -> None:
    """Makes the models of setup.cfg's entry points known to ``--model``; a class is imported when it is asked for.

    Raises:
        UQHarnessError: lm_eval's version is not supported.
    """
    check_lm_eval()
    from lm_eval.api.registry import model_registry

    importlib.import_module("lm_eval.models")  # lm_eval registers its own only if there is none at all
    for model in distribution("uq-harness").entry_points.select(group="lm_eval.models"):
        if model.name not in model_registry:
            model_registry.register(model.name, target=model.value)


def register_tasks() -> None:
    """Lets every `TaskManager` look for tasks in this package too; the user's own folders win over it.

    Task files of the user's may include those of this package, and one that cannot be loaded is refused with the reason
    where it is asked for.

    Raises:
        UQHarnessError: lm_eval's version is not supported.
    """
    check_lm_eval()
    manager = importlib.import_module("lm_eval.tasks.manager")
    register_includes()
    original = manager.TaskManager.__init__
    if hasattr(manager, "discover_plugin_task_paths") or hasattr(original, "_includes_uq_harness"):
        return

    @functools.wraps(original)
    def initialise(self: Any, verbosity: Any = None, include_path: Any = None, *args: Any, **kwargs: Any) -> None:
        own = include_path if isinstance(include_path, list | tuple) else [include_path] if include_path else []
        original(self, verbosity, [tasks_folder(), *own], *args, **kwargs)
        self.include_path = include_path
        self._left_out = left_out(own, self._index)

    match, entry = manager.TaskManager.match_tasks, manager.TaskManager._entry

    @functools.wraps(match)
    def match_tasks(self: Any, task_list: list[str]) -> list[str]:
        refuse_left_out(task_list, self._left_out)
        return match(self, task_list)  # type: ignore[no-any-return]

    @functools.wraps(entry)
    def entry_of(self: Any, name: str) -> Any:
        refuse_left_out([name], self._left_out)
        return entry(self, name)

    initialise._includes_uq_harness = True  # type: ignore[attr-defined]
    manager.TaskManager.__init__ = initialise
    manager.TaskManager.match_tasks, manager.TaskManager._entry = match_tasks, entry_of


def guard_command() -> None:
    """Lets lm_eval's command line end with a message where this package refuses or a run of it is interrupted."""
    check_lm_eval()
    from uq_harness.evaluation.command import guard_command as guard

    guard(importlib.import_module("lm_eval._cli.harness").HarnessCLI)


def guard_tracker() -> None:
    """Has the files of a run of this package checked when lm_eval has written them."""
    check_lm_eval()
    from uq_harness.evaluation.command import guard_tracker as guard

    guard(importlib.import_module("lm_eval.loggers.evaluation_tracker").EvaluationTracker)
