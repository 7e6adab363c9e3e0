"""The picture of an analysis: a heat map of tokens and layers for each data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uq_harness.rendering.figures import SIZES, save
from uq_harness.studies.sps.result import DataSetSps, SpsResult
from uq_harness.studies.state_map import DrawnMap, StateMap

SCORE = "Semantic Preservation Score"


def draw_heat_maps(result: SpsResult, folder: Path) -> list[Path]:
    """Writes a heat map for each data set, as PNG, SVG and PDF."""
    return [file for one in result.data_sets for file in save(heat_map(result, one).figure, folder / f"sps_{one.name}")]


def heat_map(result: SpsResult, one: DataSetSps) -> DrawnMap:
    """The figure for one data set."""
    name = Path(result.model.name).name
    data_set = "" if one.name == name else f"{one.name}, "
    counts = f"{one.questions:,} questions, {one.paraphrases:,} paraphrases"
    title = f"{name} ({result.model.dtype.removeprefix('torch.')}): {data_set}{counts}"
    ends = colour_range(result, one)
    drawn = StateMap(one.sps, result.layers, result.positions, SCORE, show_score, ends, signed=True).draw(
        title, SIZES["page"]
    )
    _frame(drawn, result)
    return drawn


def show_score(score: float) -> str:
    """A score as a cell shows it.

    >>> show_score(0.8626), show_score(-0.001)
    ('0.86', '0.00')
    """
    return f"{score:z.2f}".replace("-", "−")


def colour_range(result: SpsResult, one: DataSetSps) -> tuple[float, float] | None:
    """The scores between which colours change: those of the candidates; ``None`` where all of them are undefined.

    Positions inside the question have the highest scores, since wordings share words there, and would leave all the
    others in one colour.
    """
    scores = one.sps[:, -result.candidates :]
    finite = scores[np.isfinite(scores)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def _frame(drawn: DrawnMap, result: SpsResult) -> None:
    """Frames SemGrad's layers at the token with the highest score, and at the template's choice."""
    columns = [column for column, layer in enumerate(result.layers) if layer in result.semgrad_layers]
    marks = [
        (result.template_choice, "sp_token=auto", "--"),
        (result.recommended, "highest score", "-"),
    ]
    frames = [
        drawn.frame(len(result.positions) + choice.position, columns, style, f"{label}, SemGrad's layers")
        for choice, label, style in marks
        if choice is not None and columns and len(result.positions) + choice.position >= 0
    ]
    if frames:
        drawn.legend(frames)
