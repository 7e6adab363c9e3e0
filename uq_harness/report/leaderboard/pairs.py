"""Paired tests of everything against everything: the methods of a run, and the runs that were asked the same."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uq_harness.functional import (
    MEASURES,
    Answers,
    FloatArray,
    PairwiseDifferences,
    paired_accuracy,
    pairwise_differences,
    rank_intervals,
)
from uq_harness.report.quality import UNDEFINED, Estimate, average
from uq_harness.results.run import TaskRun

ACCURACY = "accuracy"
HIGHER_IS_BETTER = {**MEASURES, ACCURACY: True}


@dataclass(frozen=True, eq=False)
class Compared:
    """Rows of a table in one of its columns, each against each.

    Attributes:
        names: The rows.
        estimates: Their numbers.
        differences: Entry ``[i, j]``: first minus second, over the questions that both score.
        stderrs: Standard errors of these.
        degrees: Degrees of freedom of these errors.
    """

    names: Sequence[str]
    estimates: Mapping[str, Estimate]
    differences: FloatArray
    stderrs: FloatArray
    degrees: FloatArray


@dataclass(frozen=True)
class Standing:
    """A row's mean over the columns, and its place.

    Attributes:
        mean: The mean, with its error.
        rank: Best and worst place that paired tests leave it.
    """

    mean: Estimate
    rank: tuple[int, int]


def methods_of_a_run(run: TaskRun, quality: Mapping[str, Mapping[str, Estimate]]) -> dict[str, Compared]:
    """A run's methods against each other, by measure."""
    names = list(run.uncertainty)
    answers = [[Answers(run.uncertainty[name], run.correct)] for name in names]
    return {
        measure: _compared(
            names,
            {name: quality.get(name, {}).get(measure, UNDEFINED) for name in names},
            pairwise_differences(measure, answers),
        )
        for measure in MEASURES
    }


class SameQuestions:
    """Runs that answered the same questions, with their answers in one order.

    Args:
        runs: The runs by label.
        quality: The quality of their methods, by label, method and measure.
    """

    def __init__(
        self, runs: Mapping[str, TaskRun], quality: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    ) -> None:
        self._quality = quality
        self._runs = runs
        self._orders = {label: np.argsort(np.asarray(run.keys), kind="stable") for label, run in runs.items()}
        self._found: dict[tuple[str, str], Answers] = {}

    def models(self, measure: str, method: str) -> Compared:
        """The runs against each other, by one method."""
        labels = [label for label, run in self._runs.items() if method in run.uncertainty]
        estimates = {label: self._quality[label][method][measure] for label in labels}
        if len(labels) == 1:
            return Compared(labels, estimates, np.zeros((1, 1)), np.zeros((1, 1)), np.full((1, 1), np.inf))
        return _compared(
            labels, estimates, pairwise_differences(measure, [[self._answers(label, method)] for label in labels])
        )

    def accuracies(self, accuracy: Mapping[str, Estimate]) -> Compared:
        """The runs against each other, by the share of right answers."""
        labels = list(self._runs)
        correct = {label: run.correct[self._orders[label]] for label, run in self._runs.items()}
        tests = [[paired_accuracy(correct[one], correct[other]) for other in labels] for one in labels]
        return Compared(
            labels,
            accuracy,
            np.array([[test.difference for test in row] for row in tests]),
            np.array([[test.stderr for test in row] for row in tests]),
            np.full((len(labels), len(labels)), np.inf),  # Bonett and Price's error is made for the normal distribution
        )

    def methods(self, measure: str, labels: Sequence[str]) -> Compared:
        """The methods against each other, each by its mean over several runs; those that one run lacks are left out."""
        first, *others = (self._runs[label].uncertainty for label in labels)
        names = [method for method in first if all(method in other for other in others)]
        found = pairwise_differences(measure, [[self._answers(label, name) for label in labels] for name in names])
        estimates = {}
        for name, error in zip(names, found.errors, strict=True):
            mean = average([self._quality[label][name][measure] for label in labels])
            # The runs share their questions, so the error is not that of independent numbers.
            estimates[name] = Estimate(mean.value, float(error), mean.few)
        return _compared(names, estimates, found)

    def all_methods(self) -> list[str]:
        """Every method of any of the runs."""
        return list(dict.fromkeys(method for run in self._runs.values() for method in run.uncertainty))

    def _answers(self, label: str, method: str) -> Answers:
        if (label, method) not in self._found:
            run, order = self._runs[label], self._orders[label]
            self._found[label, method] = Answers(run.uncertainty[method][order], run.correct[order])
        return self._found[label, method]


def _compared(names: Sequence[str], estimates: Mapping[str, Estimate], found: PairwiseDifferences) -> Compared:
    return Compared(names, estimates, found.differences, found.stderrs, found.degrees)


def standings(measure: str, columns: Iterable[Compared], alpha: float) -> dict[str, Standing]:
    """Means over columns, best first, and places by paired tests of the means' differences.

    Columns are taken for independent; one without any number, such as a task whose answers are all right, does not
    count. A row without a number in another column has no mean and no place.

    Args:
        measure: ``auroc``, ``aurc``, ``prr`` or ``accuracy``.
        columns: One a set of questions.
        alpha: Probability that any place is wrong.
    """
    counted = [column for column in columns if any(math.isfinite(one.value) for one in column.estimates.values())]
    if not counted:
        return {}
    complete = [
        name
        for name in counted[0].names
        if all(math.isfinite(column.estimates.get(name, UNDEFINED).value) for column in counted)
    ]
    chosen = [np.ix_(*2 * [[column.names.index(name) for name in complete]]) for column in counted]
    differences = np.mean([column.differences[at] for column, at in zip(counted, chosen, strict=True)], axis=0)
    variances = np.stack([(column.stderrs[at] / len(counted)) ** 2 for column, at in zip(counted, chosen, strict=True)])
    degrees = np.stack([column.degrees[at] for column, at in zip(counted, chosen, strict=True)])
    sign = 1 if HIGHER_IS_BETTER[measure] else -1
    ranks = rank_intervals(
        sign * differences, np.sqrt(variances.sum(axis=0)), alpha, _degrees_of_sums(variances, degrees)
    )
    found = {
        name: Standing(average([column.estimates[name] for column in counted]), (int(best), int(worst)))
        for name, (best, worst) in zip(complete, ranks, strict=True)
    }
    return dict(sorted(found.items(), key=lambda pair: -sign * pair[1].mean.value))


def _degrees_of_sums(variances: FloatArray, degrees: FloatArray) -> FloatArray:
    """Degrees of freedom of sums of independent variances along the first axis.

    Source:
        Satterthwaite 1946, Biometrics Bulletin 2; Welch 1947, Biometrika 34.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        uncertain = np.where(variances == 0, 0.0, variances**2 / degrees).sum(axis=0)
        found = variances.sum(axis=0) ** 2 / uncertain
    return np.asarray(np.where(uncertain == 0, degrees.min(axis=0), found), dtype=np.float64)
