"""The requests that lm_eval would make of some tasks' questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.tasks import TaskManager

import uq_harness
from uq_harness.errors import UQHarnessError
from uq_harness.models import UQHFLM
from uq_harness.request import QuestionInstance


def requests_of(
    lm: UQHFLM, tasks: Sequence[str], limit: int, *, metadata: Mapping[str, Any], chat: bool
) -> dict[str, list[QuestionInstance]]:
    """Requests of each task, as lm_eval makes them for the model.

    Args:
        lm: The model.
        tasks: Names of uncertainty tasks.
        limit: Questions of each task.
        metadata: As under ``--metadata``: local data files.
        chat: Whether the chat template is applied.

    Raises:
        UQHarnessError: A task is unknown or no uncertainty task, its data cannot be had, or there is no chat template.
    """
    uq_harness.register()
    manager = TaskManager(include_defaults=False, metadata=dict(metadata))
    known = sorted(name for name in manager.all_tasks if name.startswith("uq_"))
    unknown = [name for name in tasks if name not in manager.all_tasks]
    if unknown:
        raise UQHarnessError(f"unknown task {unknown[0]!r}: use some of {', '.join(known)}")
    if not tasks:
        raise UQHarnessError(f"no task is given: use some of {', '.join(known)}")
    loaded = manager.load(list(tasks))["tasks"]
    if chat:
        lm.chat_template(True)  # says so where there is none
    return {name: _requests(lm, task, limit, chat) for name, task in loaded.items()}


def _requests(lm: UQHFLM, task: Any, limit: int, chat: bool) -> list[QuestionInstance]:
    task.override_metric(metric_name="bypass")  # no judge is needed
    task.set_config(key="num_fewshot", value=0)
    task.build_all_requests(
        limit=limit,
        rank=0,
        world_size=1,
        apply_chat_template=chat,
        chat_template=lm.apply_chat_template if chat else None,
        tokenizer_name=lm.tokenizer_name if chat else "",
    )
    return list(task.instances)
