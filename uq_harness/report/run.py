"""One run of a report: a column of the tables, with the quality of all its methods."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from uq_harness.evaluation.metrics import too_few
from uq_harness.functional import MEASURES
from uq_harness.rendering.bar import bar_if_slow
from uq_harness.rendering.paths import parts_of
from uq_harness.report.combined import Combination, combine
from uq_harness.report.cost import Costs, costs
from uq_harness.report.examples import ConfidentError
from uq_harness.report.quality import UNDEFINED, Estimate, Ranking, estimates, rank
from uq_harness.results.run import TaskRun
from uq_harness.results.settings import as_label, repeated_runs, telling_settings


@dataclass(frozen=True)
class RunSummary:
    """A run as readers see it; a column of the tables.

    Attributes:
        run: The run.
        model: Its model's label, short and different from every other model's.
        task: Its task's name.
        accuracy: Share of right answers, with its error.
        quality: AUROC, AURC and PRR of every method.
        scored: Number of answers that each method scores.
        ranking: The methods against the best of them.
        costs: Seconds per question.
        id: Its anchor in the report, letters and digits; empty outside one.
        examples: Its most confident wrong answers.
        examples_by: The method that they are the most confident by; empty where there are none.
        combination: All scores together; in words why not where they cannot be combined, ``None`` where nobody asked.
        combined: AUROC, AURC and PRR of that; empty where there is none.
    """

    run: TaskRun
    model: str
    task: str
    accuracy: Estimate
    quality: Mapping[str, Mapping[str, Estimate]]
    scored: Mapping[str, int]
    ranking: Ranking
    costs: Costs
    id: str = ""
    examples: tuple[ConfidentError, ...] = ()
    examples_by: str = ""
    combination: Combination | str | None = None
    combined: Mapping[str, Estimate] = field(default_factory=dict)

    @property
    def judge(self) -> str:
        """Its judge's name."""
        return self.run.judge

    @property
    def name(self) -> str:
        """Model, task and judge in one line."""
        return f"{self.model} · {self.task} · {self.judge}"

    @property
    def questions(self) -> int:
        """Number of answers."""
        return len(self.run) or self.run.reported_questions

    @property
    def undefined(self) -> int:
        """Number of scores that are undefined, over all methods."""
        return sum(len(self.run) - count for count in self.scored.values())

    @property
    def seconds(self) -> float:
        """Seconds per question for the greedy answer alone; ``nan`` where the records do not say."""
        return self.costs.answer

    @property
    def date(self) -> str:
        """When it was made."""
        return f"{self.run.date:%Y-%m-%d %H:%M}" if self.run.date else ""

    @property
    def error_rate(self) -> float:
        """Share of wrong answers."""
        return float(np.mean(self.run.correct == 0)) if len(self.run) else math.nan


def summarize(run: TaskRun, model: str, alpha: float, *, combined: bool = False) -> RunSummary:
    """Measures a run; one that logged no samples has what its results file says, and no tests.

    Args:
        run: The run.
        model: Its model's label.
        alpha: Level of the tests.
        combined: Whether all scores are also combined into one.
    """
    reported = _reported(run)
    combination: Combination | str | None = None
    together: dict[str, Estimate] = {}
    if len(run):
        seed = _seed(run)
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # the bootstrap's array functions let threads work at once
            found = pool.map(
                lambda name: estimates(run.uncertainty[name], run.correct, reported.get(name), seed), run.uncertainty
            )
            told = bar_if_slow(found, what=f"{model}, {run.task}: measures", unit="method", total=len(run.uncertainty))
            quality = dict(zip(run.uncertainty, told, strict=True))
        ranking = rank([run.uncertainty], [run.correct], alpha)
        if combined:
            combination = combine(run.uncertainty, run.correct, run.keys)
        if isinstance(combination, Combination):
            together = estimates(combination.scores, run.correct, seed=seed)
        share = run.accuracy
        accuracy = Estimate(share, math.sqrt(share * (1 - share) / (len(run) - 1)) if len(run) > 1 else math.nan)
    else:
        combination = "it logged no samples" if combined else None
        quality = {name: {m: found.get(m, UNDEFINED) for m in MEASURES} for name, found in reported.items()}
        best = max(
            (name for name in quality if math.isfinite(quality[name]["auroc"].value)),
            key=lambda name: quality[name]["auroc"].value,
            default=None,
        )
        ranking = Ranking(best)
        accuracy = Estimate(run.metrics.get("accuracy", math.nan), run.metrics.get("accuracy_stderr", math.nan))
    scored = {name: int(np.isfinite(scores).sum()) for name, scores in run.uncertainty.items()}
    spent = costs(run.costs, run.answer_tokens, run.uncertainty, run.model_settings.get("uncertainty"))
    return RunSummary(
        run,
        model,
        run.task,
        accuracy,
        quality,
        scored,
        ranking,
        spent,
        combination=combination,
        combined=together,
    )


def _seed(run: TaskRun) -> int:
    """The seed with which lm_eval bootstraps; 0 where none is known."""
    seed = run.model_settings.get("fewshot_seed")
    return seed if isinstance(seed, int) and 0 <= seed < 2**63 else 0


def _reported(run: TaskRun) -> dict[str, dict[str, Estimate]]:
    """What the results file says of each method, by measure."""
    few = _reports_few(run)
    found: dict[str, dict[str, Estimate]] = defaultdict(dict)
    for metric, value in run.metrics.items():
        measure, _, method = metric.partition("_")
        if measure in MEASURES and method and not method.endswith("_stderr"):
            found[method][measure] = Estimate(value, run.metrics.get(f"{metric}_stderr", math.nan), few)
    return dict(found)


def methods_of(run: TaskRun) -> list[str]:
    """The methods that a run has scores of, or of which its results file says how good they are."""
    return list(dict.fromkeys([*run.uncertainty, *_reported(run)]))


def _reports_few(run: TaskRun) -> bool:
    """Whether a results file's accuracy means too few right or wrong answers; not where it does not say how many."""
    count, accuracy = run.reported_questions, run.metrics.get("accuracy", math.nan)
    if not count or not math.isfinite(accuracy):
        return False
    right = round(count * accuracy)
    return bool(too_few(right, count - right))


def label_runs(runs: Sequence[TaskRun]) -> list[tuple[str, TaskRun]]:
    """Gives every run a label for its model, so that no two of one task and judge share one.

    A model's last path component is its label where no other model has it. Runs of one model with other settings are
    told apart by these, and repeated runs by their dates.
    """
    names = short_names(sorted({run.model for run in runs}))
    labels = {}
    for run, settings in zip(runs, telling_settings(runs), strict=True):
        labels[id(run)] = names[run.model] + (f" ({as_label(settings)})" if settings else "")
    for same in _grouped(runs, lambda run: (labels[id(run)], run.task, run.judge)).values():
        for number, run in enumerate(same, 1):
            if len(same) > 1:
                when = f"{run.date:%Y-%m-%d %H:%M:%S}" if run.date else "no date"
                clash = sum(other.date == run.date for other in same) > 1
                labels[id(run)] += f" [{when}{f', {number}' if clash else ''}]"
    return [(labels[id(run)], run) for run in runs]


def latest(runs: Sequence[TaskRun]) -> tuple[list[TaskRun], list[TaskRun]]:
    """The last run of each model, task, judge, settings and prompts, and the earlier ones."""
    oldest_first = sorted(runs, key=lambda one: one.date.timestamp() if one.date else -math.inf)
    kept = {id(repeats[-1]) for repeats in repeated_runs(oldest_first)}
    return [run for run in runs if id(run) in kept], [run for run in runs if id(run) not in kept]


def _grouped(
    runs: Sequence[TaskRun], key: Callable[[TaskRun], tuple[str, ...]]
) -> dict[tuple[str, ...], list[TaskRun]]:
    groups: dict[tuple[str, ...], list[TaskRun]] = defaultdict(list)
    for run in runs:
        groups[key(run)].append(run)
    return dict(groups)


def short_names(models: Sequence[str]) -> dict[str, str]:
    """Each model's last path components, as many as no other model ends with.

    >>> short_names(["/home/me/a/small", "/home/me/b/small", "org/large"])
    {'/home/me/a/small': 'a/small', '/home/me/b/small': 'b/small', 'org/large': 'large'}
    """
    parts = {model: parts_of(model) for model in models}
    ends: dict[tuple[str, ...], int] = defaultdict(int)
    for found in parts.values():
        for at in range(len(found)):
            ends[tuple(found[at:])] += 1
    names = {}
    for model, found in parts.items():
        fitting = (found[at:] for at in range(len(found) - 1, -1, -1) if ends[tuple(found[at:])] == 1)
        names[model] = "/".join(next(fitting, found))
    return names
