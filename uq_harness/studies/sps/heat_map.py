"""The picture of an analysis: a heat map of layers and token positions for each data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from uq_harness.rendering.figures import new_figure, save
from uq_harness.studies.sps.result import DataSetSps, SpsResult


def draw_heat_maps(result: SpsResult, folder: Path) -> list[Path]:
    """Writes a heat map for each data set, as PNG and SVG."""
    return [file for one in result.data_sets for file in save(heat_map(result, one), folder / f"sps_{one.name}")]


def token_label(text: str) -> str:
    r"""A token's text made visible: line breaks and spaces at its ends are shown.

    >>> token_label("\n"), token_label(" Who"), token_label("")
    ('\\n', '␣Who', '∅')
    """
    stripped = text.strip(" ")
    left, right = text[: len(text) - len(text.lstrip(" "))], text[len(text.rstrip(" ")) :] if stripped else ""
    shown = "".join(one if one.isprintable() else repr(one)[1:-1] for one in stripped)
    return "␣" * len(left) + shown + "␣" * len(right) or "∅"


def heat_map(result: SpsResult, one: DataSetSps) -> Any:
    """The figure for one data set."""
    columns, rows = len(result.positions), len(result.layers)
    figure = new_figure(min(24.0, 3.2 + 0.42 * columns), min(16.0, 2.8 + 0.28 * rows))
    axes = figure.add_subplot()
    low, high = colour_range(result, one)
    image = axes.imshow(one.sps, origin="lower", aspect="auto", interpolation="nearest", **_colours(low, high))
    figure.colorbar(image, ax=axes, label="Semantic Preservation Score", pad=0.01, extend="both")
    counts = f"{one.questions:,} questions, {one.paraphrases:,} paraphrases"
    axes.set_title(f"{one.name}: {counts}\n{_short(result)}", loc="right", fontsize=9, parse_math=False)
    labels = [
        f"{token_label(position.text) if position.share > 0.5 else '·'}  {position.position}"
        for position in result.positions
    ]
    axes.set_xticks(range(columns), labels, rotation=90, fontsize=8, family="monospace", parse_math=False)
    step = max(1, rows // 20)
    axes.set_yticks(range(0, rows, step), [str(layer) for layer in result.layers[::step]], fontsize=8)
    axes.set_xlabel("token and its position from the prompt's end (· = varies with the question)")
    axes.set_ylabel("layer (state entering the block)")
    _outline(axes, result)
    return figure


def colour_range(result: SpsResult, one: DataSetSps) -> tuple[float | None, float | None]:
    """The scores between which colours change: those of the candidates.

    Positions inside the question have the highest scores, since wordings share words there, and would leave all the
    others in one colour.
    """
    scores = one.sps[:, -result.candidates :]
    finite = scores[np.isfinite(scores)]
    return (float(finite.min()), float(finite.max())) if finite.size else (None, None)


def _colours(low: float | None, high: float | None) -> dict[str, Any]:
    """A scale from white to blue, and red below 0 where scores go below it; frames in black show on all of it."""
    from matplotlib.colors import TwoSlopeNorm

    if low is None or high is None or not low < 0 < high:
        return {"cmap": "Blues", "vmin": low, "vmax": high}
    return {"cmap": "RdBu", "norm": TwoSlopeNorm(0.0, low, high)}


def _short(result: SpsResult) -> str:
    name = Path(result.model.name).name
    return f"{name}, {result.model.dtype.removeprefix('torch.')}"


def _outline(axes: Any, result: SpsResult) -> None:
    """Frames SemGrad's layers at the recommended token, and at the template's choice."""
    from matplotlib.patches import Rectangle

    layers = [row for row, layer in enumerate(result.layers) if layer in result.semgrad_layers]
    marks = [
        (result.template_choice, "sp_token=auto", "--"),
        (result.recommended, "highest score", "-"),
    ]
    drawn = []
    for choice, label, style in marks:
        column = len(result.positions) + choice.position if choice is not None else -1
        if column < 0 or not layers:
            continue
        corner = (column - 0.5, layers[0] - 0.5)
        frame = Rectangle(
            corner,
            1,
            len(layers),
            fill=False,
            edgecolor="black",
            linestyle=style,
            linewidth=1.6,
            label=label,
            clip_on=False,
        )
        drawn.append(axes.add_patch(frame))
    if drawn:
        legend = axes.legend(
            handles=drawn, loc="lower left", bbox_to_anchor=(0, 1.0), fontsize=7, frameon=False, ncols=2
        )
        legend.set_in_layout(True)
