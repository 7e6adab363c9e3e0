"""The report's numbers as CSV, one number a line, and its confident wrong answers."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

import numpy as np

from uq_harness.functional import MEASURES
from uq_harness.rendering.escape import csv_text
from uq_harness.report.combined import NAME as COMBINED
from uq_harness.report.combined import Combination
from uq_harness.report.content import Report

NUMBERS = (
    "model",
    "task",
    "judge",
    "method",
    "measure",
    "value",
    "stderr",
    "best",
    "not_significantly_worse",
    "p_value",
    "questions",
    "scored",
    "seconds_per_question",
    "date",
    "few_right_or_wrong",
)


def write_numbers(content: Report) -> str:
    """AUROC, AURC and PRR of every method in every run, as fractions; with no method accuracy, requests and tokens.

    The combination of all scores is called ``combined``; its p-value is that of the test against the best single score.
    """
    rows: list[Sequence[object]] = []
    for run in content.runs:
        where = (csv_text(run.model), csv_text(run.task), csv_text(run.judge))
        about = (run.questions, "", _number(run.seconds), run.date)
        rows.append(
            (*where, "", "accuracy", *map(_number, (run.accuracy.value, run.accuracy.stderr)), "", "", "", *about, "")
        )
        rows += [
            (*where, "", name, _number(value), "", "", "", "", *about, "")
            for name, value in run.costs.served.items()
            if math.isfinite(value)
        ]
        for method, found in run.quality.items():
            for measure, higher in MEASURES.items():
                one = found[measure]
                values = [q[measure].value for q in run.quality.values() if math.isfinite(q[measure].value)]
                best = bool(values) and one.value == (max if higher else min)(values)
                tested = measure == "auroc"
                rows.append(
                    (
                        *where,
                        csv_text(method),
                        measure,
                        _number(one.value),
                        _number(one.stderr),
                        int(best),
                        int(method in run.ranking.not_worse) if tested else "",
                        _number(run.ranking.p_values.get(method, math.nan)) if tested else "",
                        run.questions,
                        run.scored.get(method, ""),  # not known without samples
                        _number(run.costs.extra.get(method, math.nan)),
                        run.date,
                        int(one.few),
                    )
                )
        if isinstance(run.combination, Combination):
            against_best = _number(run.combination.against_best.p_value)
            scored = int(np.isfinite(run.combination.scores).sum())
            rows += [
                (
                    *(*where, COMBINED, measure, _number(one.value), _number(one.stderr), "", ""),
                    *(against_best if measure == "auroc" else "", run.questions, scored, "", run.date, int(one.few)),
                )
                for measure, one in run.combined.items()
            ]
    return as_csv(NUMBERS, rows)


def write_examples(content: Report) -> str:
    """The most confident wrong answers of every run."""
    titles = (
        "model",
        "task",
        "judge",
        "method",
        "question",
        "answer",
        "references",
        "score",
        "surer_than",
        "agree",
        "methods",
    )
    rows = [
        (
            *map(csv_text, (run.model, run.task, run.judge, run.examples_by, one.question, one.answer)),
            csv_text(" | ".join(one.references)),
            _number(one.score),
            _number(one.surer_than),
            one.agree,
            one.methods,
        )
        for run in content.runs
        for one in run.examples
    ]
    return as_csv(titles, rows)


def as_csv(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lines of comma-separated values, quoted where they have to be."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows(rows)
    return text.getvalue()


def _number(value: float) -> str:
    """A number in full; empty where it is undefined."""
    return repr(float(value)) if math.isfinite(value) else ""
