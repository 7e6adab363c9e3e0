"""All that a report says, before it is written in any format."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from uq_harness.evaluation.metrics import WHY_NO_ERROR, too_few
from uq_harness.functional import MEASURES
from uq_harness.rendering.coloured import LOG_PROBABILITY, TokenValues
from uq_harness.report.beside import ablation_table, beside_the_paper, reference_notes
from uq_harness.report.combined import MOST, Combination
from uq_harness.report.examples import ConfidentError, confident_errors
from uq_harness.report.headline import Headline, headlines
from uq_harness.report.quality import UNDEFINED, Ranking, average, rank
from uq_harness.report.run import RunSummary, label_runs, latest, methods_of, summarize
from uq_harness.report.served import served_tables
from uq_harness.report.tables import Table, in_order, method_title, ranking_table
from uq_harness.results.run import TaskRun
from uq_harness.results.samples import read_record

_CARRYING = 5  # scores of a combination that are named
_HOW_COMBINED = (
    "All together: logistic regression over the ranks of all scores, each answer scored by weights that were fitted to "
    "other questions. The best single score was chosen on the same answers that it is compared on, which flatters it, "
    "so the comparison errs on its side. A weight is the mean of the standardised coefficients over the folds; scores "
    "that rank alike share theirs"
)


@dataclass(frozen=True)
class Section:
    """All runs under one judge.

    Attributes:
        judge: The judge.
        headlines: The most important thing of each model.
        tables: The methods ranked, a table a measure.
    """

    judge: str
    headlines: tuple[Headline, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Report:
    """A report.

    Attributes:
        title: Its title.
        notes: What a reader has to know about the data: rows left out, undefined metrics, earlier runs.
        runs: The runs, models together.
        sections: One a judge.
        served: Tables of what runs of engines and endpoints cost.
        beside: Tables of the runs next to published ones.
        reference_notes: The source of these, and what is not known of them.
        token_value: What colours the tokens of the answers that are shown.
        combined: Of each run how good its scores are together and which of them carry that, or why this is not told.
    """

    title: str
    notes: tuple[str, ...]
    runs: tuple[RunSummary, ...]
    sections: tuple[Section, ...]
    served: tuple[Table, ...] = ()
    beside: tuple[Table, ...] = ()
    reference_notes: tuple[str, ...] = ()
    combined: tuple[str, ...] = ()
    token_value: str = LOG_PROBABILITY

    def headlines(self) -> list[tuple[str, Headline]]:
        """The headline of each model, with what tells it apart from the others; empty where there is only one."""
        found = [one for section in self.sections for one in section.headlines]
        models = len({one.model for one in found}) > 1
        judges = len(self.sections) > 1
        return [(" · ".join([one.model] * models + [one.judge] * judges), one) for one in found]

    def all_tables(self) -> list[tuple[str, Table]]:
        """Every table with its heading, the judge named where there are several."""
        several = len(self.sections) > 1
        return [
            *(
                (f"{table.title} ({section.judge})" if several else table.title, table)
                for section in self.sections
                for table in section.tables
            ),
            *((table.title, table) for table in (*self.served, *self.beside)),
        ]


def collect(
    runs: Sequence[TaskRun],
    *,
    title: str,
    reference: bool = False,
    all_runs: bool = False,
    examples: int = 10,
    examples_by: str | None = None,
    alpha: float = 0.05,
    combined: bool = True,
    token_value: str = LOG_PROBABILITY,
    methods: Sequence[str] = (),
    warnings: Iterable[str] = (),
) -> Report:
    """Measures all runs and lays out the tables.

    Args:
        runs: What was read.
        title: The report's title.
        reference: Whether to show the paper's results next to the runs'.
        all_runs: Whether repeated runs all have columns of their own; else the last one has.
        examples: Number of confident wrong answers for each run.
        examples_by: The method they are chosen by; ``None`` for each run's best.
        alpha: Level of the tests.
        combined: Whether the tables have a row for all scores together.
        token_value: What colours the tokens of the answers that are shown: ``log-probability``, ``entropy``, or what a
            method tells of tokens. Answers without it are not coloured.
        methods: The only methods that the report is about, in the order of the tables' rows; without any it is about
            all, sorted by value.
        warnings: What reading the files has met with.
    """
    if methods:
        runs = [_only(run, methods) for run in runs]
    kept, earlier = (list(runs), []) if all_runs else latest(runs)
    labelled = sorted(label_runs(kept), key=lambda pair: (pair[0], pair[1].task, pair[1].judge))
    columns = [summarize(run, label, alpha, combined=combined) for label, run in labelled]
    judges = list(dict.fromkeys(column.run.judge for column in columns))
    notes = [*warnings]
    if earlier:
        notes.append(
            f"{len(earlier)} earlier runs of the same model, task, judge and settings are left out; --all_runs keeps "
            f"them: {', '.join(run.path.name for run in earlier[:5])}{', …' if len(earlier) > 5 else ''}"
        )
    notes += [note for column in columns for note in _notes(column)]
    shown = [_with_examples(number, column, examples, examples_by) for number, column in enumerate(columns, 1)]
    sections = []
    for judge in judges:
        under = [column for column in columns if column.run.judge == judge]
        overall = _overall(under, alpha)
        tables = tuple(in_order(ranking_table(name, under, overall, alpha), methods) for name in MEASURES)
        sections.append(Section(judge, tuple(headlines(under, overall)), tables))
    beside = beside_the_paper(columns) if reference else []
    if reference:
        beside += [*ablation_table(columns)]
    return Report(
        title,
        tuple(dict.fromkeys(notes)),
        tuple(shown),
        tuple(sections),
        tuple(served_tables(columns)),
        tuple(beside),
        tuple(reference_notes() if reference else ()),
        tuple(_together(columns, alpha)),
        token_value,
    )


def _only(run: TaskRun, methods: Sequence[str]) -> TaskRun:
    """A run with no methods but these."""
    left_out = {f"{measure}_{name}" for measure in MEASURES for name in methods_of(run) if name not in methods}
    metrics = {name: value for name, value in run.metrics.items() if name.removesuffix("_stderr") not in left_out}
    return replace(run, uncertainty={n: run.uncertainty[n] for n in methods if n in run.uncertainty}, metrics=metrics)


def _together(columns: Sequence[RunSummary], alpha: float) -> list[str]:
    """What is to be said of the row of all scores together."""
    found = [_together_of(column, alpha) for column in columns if column.combination is not None]
    if any(isinstance(column.combination, Combination) for column in columns):
        found.append(_HOW_COMBINED)
    return found


def _together_of(column: RunSummary, alpha: float) -> str:
    combination = column.combination
    if not isinstance(combination, Combination):
        return f"{column.name}: no row for all scores together: {combination}"
    difference, best = combination.against_best, method_title(combination.best)
    verdict = "significant" if difference.p_value <= alpha else "not told apart"
    weights = list(combination.weights.items())
    more = f" and {len(weights) - _CARRYING} more" if len(weights) > _CARRYING else ""
    return (
        f"{column.name}: all scores together have an AUROC of {100 * difference.first:.2f} %, {best}, the best of them "
        f"alone, {100 * difference.second:.2f} %: a difference of {100 * difference.difference:+.2f} ± "
        f"{100 * difference.stderr:.2f}, {verdict} (paired DeLong test over {difference.n:,} answers, "
        f"p = {difference.p_value:.2g}). {_fitted_to(combination)}: "
        f"{', '.join(f'{method_title(name)} {weight:+.2f}' for name, weight in weights[:_CARRYING])}{more}"
    )


def _fitted_to(combination: Combination) -> str:
    return f"Weights, each fold's fitted to {MOST:,} of the other folds' answers" if combination.sampled else "Weights"


def _overall(columns: Sequence[RunSummary], alpha: float) -> dict[str, Ranking]:
    """How the methods of each model rank over all its tasks in which any of them has an AUROC."""
    return {
        model: _over_tasks([column for column in columns if column.model == model], alpha)
        for model in dict.fromkeys(column.model for column in columns)
    }


def _over_tasks(columns: Sequence[RunSummary], alpha: float) -> Ranking:
    counted = [column for column in columns if column.ranking.best is not None]
    if len(counted) == 1:
        return counted[0].ranking
    if not all(len(column.run) for column in counted):
        return Ranking(_highest_mean(counted))
    return rank([column.run.uncertainty for column in counted], [column.run.correct for column in counted], alpha)


def _highest_mean(columns: Sequence[RunSummary]) -> str | None:
    """The method with the highest mean of AUROCs that files report."""
    means = {
        name: average([column.quality.get(name, {}).get("auroc", UNDEFINED) for column in columns]).value
        for name in columns[0].quality
    }
    finite = {name: mean for name, mean in means.items() if math.isfinite(mean)}
    return max(finite, key=lambda name: finite[name], default=None)


def _notes(column: RunSummary) -> list[str]:
    """What a reader has to know about one run."""
    run, name = column.run, f"{column.model} on {column.task} ({column.run.judge})"
    notes = []
    if not len(run):
        notes.append(f"{name} logged no samples (--log_samples), so there are no tests and no pictures of it")
        return notes
    wrong = int((run.correct == 0).sum())
    if wrong in (0, len(run)):
        notes.append(f"{name}: all {len(run)} answers are {'wrong' if wrong else 'correct'}, so nothing can be ranked")
    elif min(wrong, len(run) - wrong) < 2:
        kind = "wrong" if wrong < 2 else "correct"
        notes.append(f"{name}: with one {kind} answer AUROC has no error and no test")
    elif few := too_few(len(run) - wrong, wrong):
        notes.append(f"{name}: {few} of {len(run)}, so AUROC, AURC and PRR mean little, and so do their errors")
    exact = [method_title(method) for method, found in column.quality.items() if found["auroc"].stderr == 0]
    if exact:
        notes.append(f"{name}: the error of AUROC is 0 for {', '.join(exact)}, {WHY_NO_ERROR}")
    if run.duplicates:
        notes.append(
            f"{name}: {run.duplicates} answers are to questions that were asked before; errors take them for new"
        )
    if not run.uncertainty:
        notes.append(f"{name} has no uncertainty scores: `--model uq-hf` gives them")
    for method, count in column.scored.items():
        if count < len(run):
            notes.append(f"{name}: {method_title(method)} has no score for {len(run) - count} of {len(run)} answers")
    return notes


def _tokens(run: TaskRun, example: ConfidentError) -> TokenValues | None:
    """The tokens of an answer, read again: to hold those of all answers would take much memory."""
    if run.samples is None or run.offsets is None:
        return None
    record = read_record(run.samples, int(run.offsets[example.row]))
    return TokenValues.from_record({**record, "answer": example.answer})


def _with_examples(number: int, summary: RunSummary, examples: int, examples_by: str | None) -> RunSummary:
    run = summary.run
    method = examples_by if examples_by in run.uncertainty else summary.ranking.best
    if method not in run.uncertainty:
        method = next((name for name, count in summary.scored.items() if count), None)
    chosen = (
        confident_errors(method, run.uncertainty, run.correct, run.questions, run.answers, run.references, examples)
        if method
        else []
    )
    return replace(
        summary,
        id=f"run-{number}",
        examples=tuple(replace(one, tokens=_tokens(run, one)) for one in chosen),
        examples_by=method_title(method) if method and chosen else "",
    )
