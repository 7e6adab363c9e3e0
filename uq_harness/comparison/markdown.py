"""A comparison as Markdown, short enough for a comment on a pull request."""

from __future__ import annotations

import math
import re

from uq_harness.comparison.comparable import ASPECTS
from uq_harness.comparison.compare import Comparison, TaskComparison
from uq_harness.comparison.measures import POWER, Difference
from uq_harness.rendering.escape import markdown as escape
from uq_harness.rendering.escape import markdown_quote

# Below this many answers of a class, the normal approximation behind the AUROC's test is loose.
FEW = 10
_NONE_SHOWN = "✅ No regression was shown"
_MARKS = {"worse": "❌ worse", "better": "✅ better"}


def markdown(comparison: Comparison) -> str:
    """The whole comparison: a sentence with the outcome, then a table a task. Numbers are percent.

    Text from the runs' files is escaped.
    """
    return "\n".join([_outcome(comparison), *(line for task in comparison.tasks for line in _task(comparison, task))])


def _outcome(comparison: Comparison) -> str:
    counts = {verdict: sum(row.verdict == verdict for row in comparison.rows) for verdict in (*_MARKS, "undefined")}
    several = len(comparison.tasks) > 1
    reasons = [
        f"{title}: {loss.reason}" if several and loss.what != "task" else loss.reason
        for title, loss in comparison.losses
    ]
    least = f"; differences below {_points(comparison.min_effect)} do not count" if comparison.min_effect else ""
    undefined = f", {counts['undefined']} undefined" if counts["undefined"] else ""
    sentence = (
        f"{len(comparison.rows)} comparisons: {counts['worse']} worse, {counts['better']} better{undefined}. "
        f"α = {comparison.alpha:g} over all of them (Holm){least}."
    )
    listed = ["", *(f"- {escape(reason)}" for reason in reasons)] if reasons else []
    return "\n".join([f"## {_headline(comparison)}", "", sentence, *_power(comparison), *listed])


def _headline(comparison: Comparison) -> str:
    if comparison.regression:
        return "❌ Regression"
    if comparison.losses:
        return "❌ Not comparable"
    return "⚠️ No regression was shown, but a large one could be missed" if comparison.low_power else _NONE_SHOWN


def _power(comparison: Comparison) -> list[str]:
    """What the gate can find with these answers."""
    known = sorted((row for row in comparison.rows if not math.isnan(row.detectable)), key=lambda row: row.detectable)
    if not known:
        return []
    reach = f"about {_points(known[0].detectable, 1)} in {_name(known[0])}"
    if len(known) > 1:
        reach += f", {_points(known[-1].detectable, 1)} in {_name(known[-1])}"
    more = "; more questions or fewer rows (`--methods`) find smaller ones" if comparison.low_power else ""
    return [
        "The smallest change for the worse that this gate finds with these answers, with "
        f"{100 * POWER:g} % probability: {reach}{more}."
    ]


def _points(share: float, digits: int | None = None) -> str:
    """A share in percentage points.

    >>> _points(0.01), _points(0.005), _points(0.0234, 1)
    ('1 point', '0.5 points', '2.3 points')
    """
    number = f"{100 * share:g}" if digits is None else f"{100 * share:.{digits}f}"
    return f"{number} {'point' if float(number) == 1 else 'points'}"


def _task(comparison: Comparison, task: TaskComparison) -> list[str]:
    pair = task.pair
    level = 100 * (1 - comparison.alpha)
    lines = ["", f"### {escape(pair.title)}", ""]
    lines += [f"{escape(pair.baseline.model)} → {escape(pair.candidate.model)}, {len(pair.baseline)} questions", ""]
    lines += [
        f"| % | baseline | candidate | difference ({level:g} % interval) | p (Holm) | |",
        "|---|--:|--:|--:|--:|---|",
    ]
    lines += [_row(row) for row in task.rows]
    return lines + [line for note in _notes(task) for line in ("", note)]


def _row(row: Difference) -> str:
    interval = f"({_percent(row.interval[0], '+')} to {_percent(row.interval[1], '+')})"
    cells = [
        _name(row),
        _percent(row.baseline),
        _percent(row.candidate),
        f"{_percent(row.difference, '+')} {interval}",
        "–" if math.isnan(row.p_adjusted) else f"{row.p_adjusted:.2g}",
        _MARKS.get(row.verdict, row.verdict),
    ]
    return f"| {' | '.join(cells)} |"


def _code(method: str) -> str:
    """A method's name as code; one that a file made up, with whatever characters, cannot end the code."""
    return f"`{method}`" if re.fullmatch(r"[\w.-]+", method) else markdown_quote(method)


def _percent(value: float, sign: str = "") -> str:
    return "–" if math.isnan(value) else f"{100 * value:{sign}.1f}"


def _reach(task: TaskComparison) -> list[str]:
    """What the tests could have found at this number of questions."""
    known = [row for row in task.rows if not math.isnan(row.detectable)]
    if not known:
        return []
    listed = ", ".join(f"{_name(row)} {100 * row.detectable:.1f}" for row in known)
    return [f"Changes for the worse that are found with {100 * POWER:g} % probability, in points: {listed}."]


def _name(row: Difference) -> str:
    return f"{_code(row.method)} {row.measure.upper()}" if row.method else row.name


def _notes(task: TaskComparison) -> list[str]:
    pair = task.pair
    notes = [*_reach(task)]
    notes += [f"**{ASPECTS[aspect]}** differs: {escape(what)}" for aspect, what in task.allowed.items()]
    for side, methods in (("baseline", task.only_baseline), ("candidate", task.only_candidate)):
        if methods:
            notes.append(f"Only in the {side}: {', '.join(_code(method) for method in methods)}")
    for side, count in (("baseline", pair.only_baseline), ("candidate", pair.only_candidate)):
        if count:
            notes.append(f"{count} questions were answered by the {side} only and are left out.")
    if pair.repeated:
        notes.append(f"{pair.repeated} answers to questions asked before are left out.")
    unscored = [f"{_code(row.method)} {len(pair.baseline) - row.n}" for row in task.rows if row.n < len(pair.baseline)]
    unscored = list(dict.fromkeys(unscored))  # once for all measures of a method
    if unscored:
        notes.append(f"Questions without a score on both sides: {', '.join(unscored)}")
    smallest = min(min(run.correct.sum(), len(run) - run.correct.sum()) for run in (pair.baseline, pair.candidate))
    if smallest < FEW and len(task.rows) > 1:
        notes.append(
            f"A side has fewer than {FEW} right or wrong answers: take p-values and intervals of methods as rough."
        )
    if task.settings:
        changed = [f"{name} {was!r} → {now!r}" for name, (was, now) in task.settings.items()]
        notes.append(f"Settings that differ: {escape('; '.join(changed))}")
    return notes
