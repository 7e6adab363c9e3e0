"""A leaderboard's numbers as the page's script reads them: rows refer to methods, labels and runs by their places."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from uq_harness.functional import MEASURES
from uq_harness.rendering.escape import visible
from uq_harness.report.leaderboard.boards import Board, Standings
from uq_harness.report.leaderboard.collect import Leaderboard
from uq_harness.report.leaderboard.pairs import ACCURACY, HIGHER_IS_BETTER
from uq_harness.report.quality import Estimate
from uq_harness.report.run import RunSummary, short_names
from uq_harness.report.tables import TITLES, method_title, order_of_methods

_ALL = "all"  # instead of a place: the mean over all labels, and accuracy, which has no method


def page_data(leaderboard: Leaderboard) -> Markup:
    """JSON for a ``script`` element: no character of it ends the element or is obeyed."""
    methods = order_of_methods([name for run in leaderboard.runs for name in run.quality])
    labels = list(dict.fromkeys(run.model for run in leaderboard.runs))
    sets = list(dict.fromkeys(one for one in leaderboard.asked if one is not None))
    places = ({name: at for at, name in enumerate(methods)}, {name: at for at, name in enumerate(labels)})
    at_set = {one.id: at for at, one in enumerate(sets)}
    at_run = {
        (run.model, asked.id): at
        for at, (run, asked) in reversed(list(enumerate(zip(leaderboard.runs, leaderboard.asked, strict=True))))
        if asked is not None  # of repeated runs the first one, which is the newest
    }
    data = {
        "measures": {
            name: {"title": TITLES.get(name, "Accuracy ↑"), "higher": higher}
            for name, higher in HIGHER_IS_BETTER.items()
        },
        "methods": [method_title(name) for name in methods],
        "labels": labels,
        "sets": [{"task": one.task, "detail": one.detail} for one in sets],
        "runs": [_run(number, run, places[0]) for number, run in enumerate(leaderboard.runs, 1)],
        "boards": [_board(board, *places, at_set, at_run) for board in leaderboard.boards],
        "histories": [
            {
                "family": family,
                "settings": one.settings,
                "set": at_set[one.asked.id],
                "step": one.by_step,
                "points": [[point.row, point.date, point.step, point.name] for point in one.points],
            }
            for one, family in zip(leaderboard.histories, _families(leaderboard), strict=True)
        ],
    }
    text = json.dumps(_shown(data), separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _run(number: int, run: RunSummary, methods: Mapping[str, int]) -> dict[str, Any]:
    return {
        "run": number,
        ACCURACY: _number(run.accuracy),
        "quality": {
            methods[name]: [_number(found[measure]) for measure in MEASURES] for name, found in run.quality.items()
        },
    }


def _board(
    board: Board,
    methods: Mapping[str, int],
    labels: Mapping[str, int],
    sets: Mapping[str, int],
    runs: Mapping[tuple[str, str], int],
) -> dict[str, Any]:
    return {
        "title": board.title,
        "judge": board.judge,
        "sets": [sets[one.id] for one in board.sets],
        "labels": [labels[label] for label in board.labels],
        "runs": [[runs[label, one.id] for one in board.sets] for label in board.labels],
        "methods": {
            labels[label] if label else _ALL: {measure: _standings(one, methods) for measure, one in found.items()}
            for label, found in board.methods.items()
        },
        "models": {
            methods[method] if method else _ALL: {measure: _standings(one, labels) for measure, one in found.items()}
            for method, found in board.models.items()
        },
        "together": [
            {
                methods[name]: [_number(board.together[measure][one.id][name]) for measure in MEASURES]
                for name in board.together["auroc"][one.id]
            }
            for one in board.sets
        ],
    }


def _standings(found: Standings, places: Mapping[str, int]) -> list[list[Any]]:
    """Row, mean, error, whether it means little, best and worst place; best first."""
    return [[places[name], *_number(one.mean), *one.rank] for name, one in found.items()]


def _number(estimate: Estimate) -> list[float | int | None]:
    """Number and error to six digits behind the point, which is more than the page shows, and 1 where it means little.

    >>> _number(Estimate(0.25, math.nan, few=True))
    [0.25, None, 1]
    """
    numbers = [round(value, 6) if math.isfinite(value) else None for value in (estimate.value, estimate.stderr)]
    return [*numbers, int(estimate.few)]


def _families(leaderboard: Leaderboard) -> Sequence[str]:
    """Short names of the histories' models."""
    names = short_names(sorted({one.family for one in leaderboard.histories}))
    return [names[one.family] for one in leaderboard.histories]


def _shown(value: Any) -> Any:
    """The value with control characters of all texts made visible."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {key: _shown(inner) for key, inner in value.items()}
    return [_shown(inner) for inner in value] if isinstance(value, list) else value
