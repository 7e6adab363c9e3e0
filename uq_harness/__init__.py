"""Uncertainty quantification for lm_eval: how far can you trust this model's answer?

Installing the package makes the model ``uq-hf`` and the tasks ``uq_sciq``, ``uq_triviaqa``, ``uq_truthfulqa``,
``uq_demo`` and the group ``uq_bench`` known to lm_eval's command line. From Python, call `register` first.

Applications take `UncertaintyModel`, which needs no lm_eval task, and `Abstainer`, which decides what to answer. `load`
reads the results of runs as DataFrames.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uq_harness.abstention.abstainer import Abstainer
    from uq_harness.answering.application import UncertaintyModel
    from uq_harness.answering.scored_answer import ScoredAnswer
    from uq_harness.results.frames import load

__version__ = "0.1.0"
__all__ = ["Abstainer", "ScoredAnswer", "UncertaintyModel", "__version__", "load", "register"]

# What applications use; imported when it is asked for, since torch or pandas comes with it.
_HOMES = {
    "Abstainer": "uq_harness.abstention.abstainer",
    "ScoredAnswer": "uq_harness.answering.scored_answer",
    "UncertaintyModel": "uq_harness.answering.application",
    "load": "uq_harness.results.frames",
}

# In a source checkout, tasks/ and metrics/ are next to this folder, not inside it; running from the checkout's root
# makes it shadow an installed wheel.
if not (Path(__file__).parent / "tasks").is_dir():
    __path__.append(str(Path(__file__).parents[1]))


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def register() -> None:
    """Registers the models and the tasks with lm_eval; calling it twice does no harm.

    >>> import uq_harness
    >>> uq_harness.register()
    >>> from lm_eval.tasks import TaskManager
    >>> "uq_demo" in TaskManager().all_tasks
    True
    """
    from uq_harness.evaluation import plugin

    plugin.register_models()
    plugin.register_tasks()
