"""Boards: the tables that rank methods or models over sets of questions that all of them answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from uq_harness.functional import MEASURES
from uq_harness.report.leaderboard.pairs import (
    ACCURACY,
    Compared,
    SameQuestions,
    Standing,
    standings,
)
from uq_harness.report.leaderboard.questions import QuestionSet
from uq_harness.report.quality import Estimate
from uq_harness.report.run import RunSummary

Standings = dict[str, Standing]


class Ranked(NamedTuple):
    """A run that takes part.

    Attributes:
        asked: Its questions.
        summary: The run, labelled.
        methods: Its methods against each other, by measure.
    """

    asked: QuestionSet
    summary: RunSummary
    methods: Mapping[str, Compared]

    @property
    def label(self) -> str:
        """The model with the settings that tell its runs apart."""
        return self.summary.model


@dataclass(frozen=True, eq=False)
class Board:
    """One choice of questions, and how everything stands over them.

    Attributes:
        sets: The columns.
        labels: The models, with settings, that answered all of them.
        methods: How methods stand by measure: for each label, and for ``""``, the mean over all labels.
        models: How labels stand by measure: for each method, and for accuracy with the method ``""``.
        together: Each method's mean over all labels in each column, by measure and the set's id.
    """

    sets: tuple[QuestionSet, ...]
    labels: tuple[str, ...]
    methods: Mapping[str, Mapping[str, Standings]]
    models: Mapping[str, Mapping[str, Standings]]
    together: Mapping[str, Mapping[str, Mapping[str, Estimate]]]

    @property
    def judge(self) -> str:
        """The judge of all its answers."""
        return self.sets[0].judge

    @property
    def title(self) -> str:
        """Its questions in a line."""
        titles = ", ".join(one.title for one in self.sets)
        return titles if len(self.sets) == 1 else f"{len(self.sets)} tasks: {titles}"


@dataclass(eq=False)
class _Column:
    """Everything against everything in one set of questions.

    Attributes:
        methods: Methods against each other, by label and measure; by several labels, their means.
        models: Labels against each other, by method and measure.
    """

    methods: dict[tuple[str, ...], dict[str, Compared]]
    models: dict[str, dict[str, Compared]] = field(default_factory=dict)


def make_boards(rows: Sequence[Ranked], alpha: float) -> list[Board]:
    """All boards, the one with the most runs first.

    There is one for each set of questions, and one for each collection of sets that some label answered.

    Args:
        rows: Runs with samples, no label twice with the same questions.
        alpha: Level of the ranks.
    """
    sets = {row.asked.id: row.asked for row in rows}
    chosen = _choices(rows)
    columns = {
        key: _column([row for row in rows if row.asked.id == key], {labels for ids, labels in chosen if key in ids})
        for key in sets
    }
    return [_board([sets[key] for key in ids], labels, [columns[key] for key in ids], alpha) for ids, labels in chosen]


def _choices(rows: Sequence[Ranked]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Collections of sets, with the labels that answered all of each; the one with the most runs first."""
    answered: dict[tuple[str, str], list[QuestionSet]] = defaultdict(list)
    for row in rows:
        answered[row.label, row.asked.judge].append(row.asked)
    collections = {frozenset(one.id for one in asked): asked for asked in answered.values()}
    collections |= {frozenset({row.asked.id}): [row.asked] for row in rows}
    found = []
    for ids, asked in collections.items():
        ordered = sorted(asked, key=lambda one: (one.task, one.count, one.id))
        labels = sorted(
            label
            for (label, judge), others in answered.items()
            if judge == asked[0].judge and ids <= {one.id for one in others}
        )
        size = (-len(labels) * len(ids), -len(ids), -sum(one.count for one in asked), asked[0].judge)
        found.append((size, tuple(one.id for one in ordered), tuple(labels)))
    return [(ids, labels) for _, ids, labels in sorted(found)]


def _column(rows: Sequence[Ranked], groups: set[tuple[str, ...]]) -> _Column:
    """Everything against everything over one set of questions, also the means over each group of labels."""
    same = SameQuestions({row.label: row.summary.run for row in rows}, {row.label: row.summary.quality for row in rows})
    column = _Column({(row.label,): dict(row.methods) for row in rows})
    column.models[""] = {ACCURACY: same.accuracies({row.label: row.summary.accuracy for row in rows})}
    for measure in MEASURES:
        for labels in groups:
            if len(labels) > 1:
                column.methods.setdefault(labels, {})[measure] = same.methods(measure, labels)
        for method in same.all_methods():
            column.models.setdefault(method, {})[measure] = same.models(measure, method)
    return column


def _board(sets: Sequence[QuestionSet], labels: tuple[str, ...], columns: Sequence[_Column], alpha: float) -> Board:
    groups = {"": labels, **{label: (label,) for label in labels}}
    methods = {
        name: {
            measure: standings(measure, [column.methods[group][measure] for column in columns], alpha)
            for measure in MEASURES
        }
        for name, group in groups.items()
    }
    together = {
        measure: {
            asked.id: column.methods[labels][measure].estimates for asked, column in zip(sets, columns, strict=True)
        }
        for measure in MEASURES
    }
    models = {
        method: {
            measure: standings(measure, [_only(column.models[method][measure], labels) for column in columns], alpha)
            for measure in columns[0].models[method]
        }
        for method in columns[0].models
        if all(method in column.models for column in columns)
    }
    return Board(tuple(sets), labels, methods, models, together)


def _only(compared: Compared, labels: Sequence[str]) -> Compared:
    """Some of the rows."""
    at = [number for number, name in enumerate(compared.names) if name in labels]
    names = [compared.names[number] for number in at]
    return Compared(
        names,
        {name: compared.estimates[name] for name in names},
        compared.differences[at][:, at],
        compared.stderrs[at][:, at],
        compared.degrees[at][:, at],
    )
