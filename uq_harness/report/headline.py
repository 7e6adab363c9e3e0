"""The most important thing of a report: the best method, how sure that is, and how often the model is right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uq_harness.evaluation.metrics import FEW_MARK, FEW_MEANS
from uq_harness.report.quality import UNDEFINED, Estimate, Ranking, average
from uq_harness.report.run import RunSummary
from uq_harness.report.tables import method_title


@dataclass(frozen=True)
class Headline:
    """What to know of a model's runs under one judge.

    Attributes:
        model: The model's label.
        judge: The judge.
        tasks: The tasks.
        ranked: Those of them in which methods have an AUROC.
        best: Name for readers of the method with the highest AUROC, over several tasks of the highest mean; empty where
            no AUROC is defined.
        auroc: Its AUROC.
        tested: How many other methods are compared with it by a test.
        equals: How many of them are not told apart from it.
        accuracy: Share of right answers; the mean over the tasks.
        questions: Number of answers.
    """

    model: str
    judge: str
    tasks: tuple[str, ...]
    ranked: tuple[str, ...]
    best: str
    auroc: Estimate
    tested: int
    equals: int
    accuracy: Estimate
    questions: int

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        right = f"{'mean ' if len(self.tasks) > 1 else ''}accuracy {share(self.accuracy)}, {self.questions:,} questions"
        if not self.best:
            return f"No method has an AUROC; {right}."
        where = ""
        if len(self.tasks) > 1:
            where = f" on average over {len(self.ranked)} tasks" if len(self.ranked) > 1 else f" on {self.ranked[0]}"
        told = f"{_told_apart(self.equals, self.tested)}; " if self.tested else ""
        few = f" ({FEW_MEANS})" if self.auroc.few else ""
        return f"Best{where}: {self.best} {percent(self.auroc)} % AUROC; {told}{right}{few}."

    @property
    def tiles(self) -> list[tuple[str, str, str]]:
        """The same as short texts: what it is, its value, and what to add."""
        few = f" {FEW_MARK}" if self.auroc.few else ""
        several = f"mean of {len(self.tasks)} tasks" if len(self.tasks) > 1 else ""
        found = [("Best method", self.best, f"{percent(self.auroc)} % AUROC{few}")] if self.best else []
        if self.best and self.tested:
            found.append(("Not told apart from it", f"{self.equals} of {self.tested}", "other methods"))
        found.append(("Accuracy", share(self.accuracy), several))
        return [*found, ("Questions", f"{self.questions:,}", f"{len(self.tasks)} tasks" if several else "")]


def _told_apart(equals: int, tested: int) -> str:
    """How many others are not told apart from the best.

    >>> _told_apart(4, 16), _told_apart(1, 1)
    ('4 of 16 others are not told apart from it', '1 of 1 other is not told apart from it')
    """
    others, are = "others" if tested > 1 else "other", "is" if equals == 1 else "are"
    return f"{equals} of {tested} {others} {are} not told apart from it"


def headlines(columns: Sequence[RunSummary], overall: Mapping[str, Ranking]) -> list[Headline]:
    """One for each model, in the order of the runs.

    Args:
        columns: Runs under one judge.
        overall: How the methods rank over the tasks of each model.
    """
    return [
        _headline([column for column in columns if column.model == model], overall[model])
        for model in dict.fromkeys(column.model for column in columns)
    ]


def _headline(columns: Sequence[RunSummary], ranking: Ranking) -> Headline:
    counted = [column for column in columns if column.ranking.best is not None]
    best = ranking.best
    auroc = average([column.quality[best]["auroc"] for column in counted]) if best else UNDEFINED
    return Headline(
        model=columns[0].model,
        judge=columns[0].judge,
        tasks=tuple(column.task for column in columns),
        ranked=tuple(column.task for column in counted),
        best=method_title(best) if best else "",
        auroc=auroc,
        tested=sum(math.isfinite(p_value) for p_value in ranking.p_values.values()),
        equals=len(ranking.not_worse),
        accuracy=average([column.accuracy for column in columns]),
        questions=sum(column.questions for column in columns),
    )


def percent(estimate: Estimate) -> str:
    """Percent with its error, with one decimal where the error is larger than 1, else two.

    >>> percent(Estimate(0.8609, 0.0231)), percent(Estimate(0.8609, 0.0031)), percent(Estimate(0.8609, math.nan))
    ('86.1 ± 2.3', '86.09 ± 0.31', '86.09')
    """
    digits = 1 if estimate.stderr > 0.01 else 2
    error = f" ± {100 * estimate.stderr:.{digits}f}" if math.isfinite(estimate.stderr) else ""
    return f"{100 * estimate.value:.{digits}f}{error}"


def share(estimate: Estimate) -> str:
    """A share without its error, with a decimal where that is not larger than 1 %.

    >>> share(Estimate(0.611, 0.03)), share(Estimate(0.6114, 0.003)), share(UNDEFINED)
    ('61 %', '61.1 %', 'unknown')
    """
    if not math.isfinite(estimate.value):
        return "unknown"
    return f"{100 * estimate.value:.{0 if not estimate.stderr <= 0.01 else 1}f} %"
