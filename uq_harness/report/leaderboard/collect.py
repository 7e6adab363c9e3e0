"""From runs to a leaderboard: labels, what was asked, ranks and histories."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from uq_harness.report.leaderboard.boards import Board, Ranked, make_boards
from uq_harness.report.leaderboard.entries import Entry, entries_of
from uq_harness.report.leaderboard.history import History, histories
from uq_harness.report.leaderboard.pairs import methods_of_a_run, standings
from uq_harness.report.leaderboard.questions import QuestionSet, question_sets
from uq_harness.report.run import RunSummary, label_runs, latest, summarize
from uq_harness.results.run import TaskRun
from uq_harness.results.settings import as_label, repeated_runs, telling_settings


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """All that a leaderboard says.

    Attributes:
        entries: Every method of every run, the newest run first.
        runs: The runs behind them, numbered from 1 in the entries.
        asked: What each was asked; ``None`` where no samples tell.
        boards: Tables that rank; the one with the most runs first.
        histories: Models over checkpoints or dates.
        alpha: Level of the ranks.
        notes: What a reader has to know about the data.
    """

    entries: tuple[Entry, ...]
    runs: tuple[RunSummary, ...]
    asked: tuple[QuestionSet | None, ...]
    boards: tuple[Board, ...]
    histories: tuple[History, ...]
    alpha: float
    notes: tuple[str, ...]


def collect_leaderboard(runs: Sequence[TaskRun], alpha: float = 0.05, warnings: Sequence[str] = ()) -> Leaderboard:
    """Measures all runs, and ranks what may be compared.

    Of repeated runs the newest one is ranked; the others are rows and points of histories.

    Args:
        runs: What was read.
        alpha: Probability that any place of a table is wrong.
        warnings: What reading the files has met with.
    """
    newest_first = sorted(runs, key=lambda run: -run.date.timestamp() if run.date else math.inf)
    kept, _ = latest(newest_first)
    labels = _labels(newest_first, kept)
    asked = question_sets(newest_first)
    told = telling_settings(newest_first)
    newest = {id(run) for run in kept}
    summaries, entries, rows = [], [], []
    for number, (run, questions, settings) in enumerate(zip(newest_first, asked, told, strict=True), 1):
        summary = summarize(run, labels[id(run)], alpha)
        summaries.append(summary)
        compared = methods_of_a_run(run, summary.quality) if questions is not None else {}
        places = standings("auroc", [compared["auroc"]], alpha) if compared else {}
        ranks = {name: place.rank for name, place in places.items()}
        is_newest = id(run) in newest
        entries += entries_of(summary, number, as_label(settings), questions, ranks, newest=is_newest)
        if questions is not None and is_newest:
            rows.append(Ranked(questions, summary, compared))
    return Leaderboard(
        tuple(entries),
        tuple(summaries),
        tuple(asked),
        tuple(make_boards(rows, alpha)),
        tuple(histories(newest_first, asked)),
        alpha,
        tuple(dict.fromkeys([*warnings, *_notes(summaries)])),
    )


def _labels(runs: Sequence[TaskRun], kept: Sequence[TaskRun]) -> dict[int, str]:
    """A label for every run by its ``id``: repeated runs share that of the newest."""
    labels = {id(run): label for label, run in label_runs(kept)}
    for group in repeated_runs(runs):
        label = next(labels[id(run)] for run in group if id(run) in labels)
        labels |= {id(run): label for run in group}
    return labels


def _notes(summaries: Sequence[RunSummary]) -> list[str]:
    """Runs that cannot be ranked, and why."""
    notes = []
    for summary in summaries:
        name = f"{summary.model} on {summary.task} ({summary.judge})"
        if not len(summary.run):
            notes.append(f"{name} logged no samples (--log_samples): it is a row without a place")
        elif summary.ranking.best is None:
            notes.append(f"{name}: no AUROC is defined, so its task does not count for that model")
    return notes
