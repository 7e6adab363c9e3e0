"""Which run of the baseline is compared with which of the candidate, and which question with which."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uq_harness.errors import UQHarnessError
from uq_harness.results.run import TaskRun
from uq_harness.results.settings import as_label, telling_settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two runs over the same questions in the same order, each question once.

    Attributes:
        title: Task and judge, and the model where there are several.
        baseline: The run to compare with.
        candidate: The run to judge.
        only_baseline: Number of the baseline's questions that the candidate was not asked.
        only_candidate: Number of the candidate's questions that the baseline was not asked.
        repeated: Number of answers left out on either side because their question had been asked before.
        unjudged_baseline: Number of the candidate's questions whose answer by the baseline has no verdict.
        unjudged_candidate: Number of the baseline's questions whose answer by the candidate has no verdict.
    """

    title: str
    baseline: TaskRun
    candidate: TaskRun
    only_baseline: int
    only_candidate: int
    repeated: int
    unjudged_baseline: int = 0
    unjudged_candidate: int = 0


def pair_runs(
    baseline: Sequence[TaskRun], candidate: Sequence[TaskRun], *, any_judge: bool
) -> tuple[list[Pair], tuple[str, ...]]:
    """Pairs of runs of the same task under the same judge, and the baseline's runs without a counterpart.

    Both sides' runs without a counterpart are named in a warning.

    Args:
        baseline: Runs of one model, or of several that the candidate has under the same names.
        candidate: The same.
        any_judge: Whether runs under different judges may be paired where a task has just one on either side.

    Raises:
        UQHarnessError: There is nothing to pair, a side has several runs of one kind, judges differ and must not, or
            runs have no question in common.
    """
    for side, runs in (("baseline", baseline), ("candidate", candidate)):
        _refuse_several(side, runs)
    several = len({run.model for run in baseline}) > 1 or len({run.model for run in candidate}) > 1
    sides = [
        {(run.model if several else "", run.task, run.judge): run for run in runs} for runs in (baseline, candidate)
    ]
    pairs = [(sides[0].pop(kind), sides[1].pop(kind)) for kind in list(sides[0]) if kind in sides[1]]
    paired = {(a.model if several else "", a.task) for a, _ in pairs}
    for subject in dict.fromkeys(kind[:2] for kind in sides[0]):
        lone = [[run for kind, run in side.items() if kind[:2] == subject] for side in sides]
        if subject in paired or not lone[1]:
            continue
        if not any_judge or len(lone[0]) > 1 or len(lone[1]) > 1:
            raise UQHarnessError(_other_judges(*lone, any_judge=any_judge))
        pairs.append((lone[0][0], lone[1][0]))
    if not pairs:
        raise UQHarnessError(
            f"nothing to compare: the baseline has {_named(baseline)}, the candidate {_named(candidate)}"
        )
    alone = [
        [run for run in runs if not any(pair[index] is run for pair in pairs)]
        for index, runs in enumerate((baseline, candidate))
    ]
    for name, runs in zip(("baseline", "candidate"), alone, strict=True):
        if runs:
            log.warning("only the %s has %s", name, _named(runs))
    missing = tuple(_named([run]) for run in alone[0])
    return [align(*pair, with_model=several) for pair in pairs], missing


def _refuse_several(side: str, runs: Sequence[TaskRun]) -> None:
    """Raises where it is not clear which of several runs of a model is meant."""
    told = list(zip(runs, telling_settings(runs), strict=True))
    for first in runs:
        kind = first.model, first.task, first.judge
        same = [(run, settings) for run, settings in told if (run.model, run.task, run.judge) == kind]
        if len(same) > 1:
            listed = "; ".join(f"{run.path} ({as_label(settings) or 'no settings noted'})" for run, settings in same)
            raise UQHarnessError(
                f"the {side} has several runs of {_named([first])}, which differ in their settings: {listed}. Give the "
                "file of one"
            )


def _other_judges(baseline: Sequence[TaskRun], candidate: Sequence[TaskRun], *, any_judge: bool) -> str:
    judges = [" and ".join(run.judge for run in runs) for runs in (baseline, candidate)]
    fix = "leave one of them" if any_judge else "To compare all the same: --allow_different judge"
    return f"{baseline[0].task} cannot be compared: judge: {judges[0]} against {judges[1]}. {fix}"


def _named(runs: Sequence[TaskRun]) -> str:
    return " and ".join(f"{run.model}, {run.task}, {run.judge}" for run in runs)


def align(baseline: TaskRun, candidate: TaskRun, *, with_model: bool = False) -> Pair:
    """Both runs reduced to their common questions, in the baseline's order.

    Of a question that a run was asked twice the first answer counts: the second is not new evidence.

    Raises:
        UQHarnessError: No question is common.
    """
    first, second = baseline.first_rows(), candidate.first_rows()
    common = [key for key in first if key in second]
    if not common:
        raise UQHarnessError(
            f"{baseline.task}: {baseline.path} and {candidate.path} have no question in common: compare runs on the "
            "same data"
        )
    judges = " / ".join(dict.fromkeys([baseline.judge, candidate.judge]))
    return Pair(
        title=f"{f'{baseline.model}, ' if with_model else ''}{baseline.task} ({judges})",
        baseline=baseline.take(np.array([first[key] for key in common])),
        candidate=candidate.take(np.array([second[key] for key in common])),
        only_baseline=len(first) - len(common),
        only_candidate=len(second) - len(common),
        repeated=baseline.duplicates + candidate.duplicates,
        unjudged_baseline=len((second.keys() & set(baseline.unjudged)) - first.keys()),
        unjudged_candidate=len((first.keys() & set(candidate.unjudged)) - second.keys()),
    )
