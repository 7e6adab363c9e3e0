"""How the processes of a launcher share the questions on a machine without accelerators."""

from __future__ import annotations

import os
from typing import TypeVar

import torch

from uq_harness.errors import UQHarnessError

T = TypeVar("T")
# What MPI's launchers set; accelerate reads them.
_MPI = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def let_accelerate_see_processes() -> None:
    """Tells accelerate that processes compute on CPUs, where there is nothing else.

    Without being told, accelerate takes each process of ``torchrun`` for the only one, and each would answer all
    questions. Where there are accelerators, nothing changes.

    Raises:
        UQHarnessError: ``accelerate launch --cpu`` was asked for several processes and has started one.
    """
    if torch.accelerator.is_available():
        return
    if _launched() > 1:
        os.environ.setdefault("ACCELERATE_USE_CPU", "true")
    if _is_lone_worker():
        raise UQHarnessError(
            "several processes were asked for, but `accelerate launch --cpu` starts only one: use "
            "`torchrun --nproc_per_node N -m lm_eval ...`, or --num_processes 1 (and no MASTER_ADDR in the environment)"
        )


def refuse_unshared_work(world_size: int) -> None:
    """Refuses processes of which each would answer all questions.

    Args:
        world_size: Number of processes among which lm_eval shares the questions.

    Raises:
        UQHarnessError: They are fewer than were launched.
    """
    if world_size < _launched() and not torch.cuda.is_available():
        raise UQHarnessError(
            f"{_launched()} processes were started, but accelerate sees {world_size}, so that each would answer all "
            "questions: set ACCELERATE_USE_CPU=true in the environment, or start one process"
        )


def from_all(values: list[T], world_size: int) -> list[T]:
    """The values of all processes, in every process and in the same order; waits for all of them.

    Args:
        values: Those of this process.
        world_size: Number of processes.

    >>> from_all([1, 2], world_size=1)
    [1, 2]
    """
    if world_size == 1:
        return values
    parts: list[list[T]] = [[] for _ in range(world_size)]
    torch.distributed.all_gather_object(parts, values)
    return [value for part in parts for value in part]


def _launched() -> int:
    """Number of processes that torchrun or another launcher has started; 1 without one."""
    count = os.environ.get("WORLD_SIZE", "")
    return int(count) if count.isdecimal() and "LOCAL_RANK" in os.environ else 1


def _is_lone_worker() -> bool:
    """Whether ``accelerate launch --cpu`` has started this process alone, though several were asked for.

    It sets the address where several processes would meet, but no number of processes.
    """
    launched = os.environ.get("ACCELERATE_USE_CPU") == "True" and "ACCELERATE_MIXED_PRECISION" in os.environ
    several = "MASTER_ADDR" in os.environ and "MASTER_PORT" in os.environ
    return launched and several and not any(name in os.environ for name in ("WORLD_SIZE", "LOCAL_RANK", *_MPI))
