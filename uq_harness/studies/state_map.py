"""A heat map of states: a row a token of the prompt's end, a column a layer, as several studies draw it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uq_harness.functional import FloatArray
from uq_harness.rendering.figures import FigureSize, new_figure, text_size

if TYPE_CHECKING:
    from uq_harness.studies.sps.prompts import Position

_INCH = 72  # points
_ROW = 1.9  # height of a row in its text's size
_TALLEST = 6.0  # inches of all rows together
_WIDE = 0.64  # width of a digit in its text's size
_LETTER = 0.602  # the same of a letter whose width is that of all
_AVERAGE = 0.56  # the same of a letter on average
_LINE = 6  # letters for which a legend's mark has the width
_SMALLEST = 5.0  # points that a number in a cell has at least
_LONGEST = 20  # letters of a token
_VARIES = "·"
_DARK = 0.18  # luminance below which white has more contrast than black
_DIVERGING, _SEQUENTIAL = "RdBu", "Blues"


def token_label(text: str) -> str:
    r"""A token's text made visible: line breaks and spaces at its ends are shown.

    >>> token_label("\n"), token_label(" Who"), token_label("")
    ('\\n', '␣Who', '∅')
    """
    stripped = text.strip(" ")
    left, right = text[: len(text) - len(text.lstrip(" "))], text[len(text.rstrip(" ")) :] if stripped else ""
    shown = "".join(one if one.isprintable() else repr(one)[1:-1] for one in stripped)
    return "␣" * len(left) + shown + "␣" * len(right) or "∅"


def row_label(position: Position) -> str:
    """A row's name: the position as it is counted from the prompt's end, and the token where most prompts have it.

    >>> from uq_harness.studies.sps.prompts import Position
    >>> row_label(Position(-3, "<|im_start|>", 1.0)), row_label(Position(-12, " in", 0.05))
    (' −3 <|im_start|>', '−12 ·')
    """
    token = token_label(position.text) if position.share > 0.5 else _VARIES
    if len(token) > _LONGEST:
        token = token[: _LONGEST - 1] + "…"
    return f"{f'−{-position.position}':>3} {token}"


@dataclass(frozen=True)
class StateMap:
    """A heat map of states.

    Attributes:
        values: One number a state, ``[layers, tokens]``; ``nan`` where it is undefined.
        layers: The layers.
        positions: The tokens.
        name: What the numbers are.
        show: A number as its cell shows it.
        ends: The numbers between which colours change; ``None`` for all there are.
        signed: Whether 0 has a meaning, so that numbers on both sides of it are told apart by colour.
    """

    values: FloatArray
    layers: Sequence[int]
    positions: Sequence[Position]
    name: str
    show: Callable[[float], str]
    ends: tuple[float, float] | None = None
    signed: bool = False

    def draw(self, title: str, size: FigureSize) -> DrawnMap:
        """Draws the map into a figure of its own.

        Args:
            title: What is above it; lines that are too long are broken.
            size: Width of the figure and size of its text.
        """
        labels = [row_label(one) for one in self.positions]
        lines = wrapped(title, size)
        rows = min(_TALLEST, len(labels) * _ROW * size.text / _INCH)
        with text_size(size.text):
            figure = new_figure(size.width, rows + (14 + 1.4 * len(lines)) * size.text / _INCH)
            axes = figure.add_subplot()
            figure.suptitle("\n".join(lines), fontsize="medium", parse_math=False)
            image = axes.imshow(self.values.T, aspect="auto", interpolation="nearest", **self._colours())
            defined = bool(np.isfinite(self.values).any())
            look: dict[str, Any] = {"location": "bottom", "aspect": 50, "extend": self._extend(image)}
            look |= {"label": self.name} if defined else {"label": f"{self.name} (undefined)", "ticks": []}
            figure.colorbar(image, ax=axes, **look)
            _name_rows(axes, labels, size, rows)
            self._name_columns(axes, size)
            return DrawnMap(figure, axes, self._write_numbers(axes, image, labels, size), size)

    def _colours(self) -> dict[str, Any]:
        """From white to blue; where numbers have both signs white is 0, and red is as strong below as blue above."""
        import matplotlib
        from matplotlib.colors import ListedColormap

        finite = self.values[np.isfinite(self.values)]
        low, high = self.ends or ((float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0))
        chosen = matplotlib.colormaps[_SEQUENTIAL]
        if self.signed and low < 0 < high and self.show(0.0) not in (self.show(low), self.show(high)):
            largest = max(-low, high)
            shares = np.linspace(0.5 + low / largest / 2, 0.5 + high / largest / 2, 256)
            chosen = ListedColormap(matplotlib.colormaps[_DIVERGING](shares))
        return {"cmap": chosen.with_extremes(bad="0.85"), "vmin": low, "vmax": high}

    def _extend(self, image: Any) -> str:
        low, high = image.get_clim()
        below, above = bool((self.values < low).any()), bool((self.values > high).any())
        return {(True, True): "both", (True, False): "min", (False, True): "max"}.get((below, above), "neither")

    def _name_columns(self, axes: Any, size: FigureSize) -> None:
        step = math.ceil(len(self.layers) / (4 * size.width))
        axes.set_xticks(range(0, len(self.layers), step), [str(layer) for layer in self.layers[::step]])
        varies = any(position.share <= 0.5 for position in self.positions)
        note = f"\n{_VARIES} token that varies with the question" if varies else ""
        axes.set_xlabel(f"layer (state entering the block){note}")

    def _write_numbers(self, axes: Any, image: Any, labels: Sequence[str], size: FigureSize) -> bool:
        """Writes the numbers into their cells if there is room for them."""
        texts = [[self.show(value) if math.isfinite(value) else "–" for value in row] for row in self.values]
        longest = max(len(text) for row in texts for text in row)
        names = max(map(len, labels)) * _LETTER * size.text / _INCH
        room = (size.width - names - 0.3) / len(self.layers) - 0.1
        points = min(size.text, room * _INCH / (_WIDE * longest))
        row = min(_ROW * size.text, _TALLEST * _INCH / len(labels))
        if points < _SMALLEST or row < 1.2 * points:
            return False
        for column, row_texts in enumerate(texts):
            for row_number, text in enumerate(row_texts):
                dark = _luminance(image.to_rgba(self.values[column, row_number])) < _DARK
                look = {"ha": "center", "va": "center_baseline", "size": points, "color": "white" if dark else "black"}
                axes.text(column, row_number, text, **look)
        return True


@dataclass(frozen=True)
class DrawnMap:
    """A heat map that is drawn.

    Attributes:
        figure: The figure.
        axes: The axes; a state is at its layer's column and its token's row.
        numbers: Whether cells show their numbers.
        size: Width of the figure and size of its text.
    """

    figure: Any
    axes: Any
    numbers: bool
    size: FigureSize

    def frame(self, row: int, columns: Sequence[int], style: str, label: str) -> Any:
        """Frames some layers of a token.

        Args:
            row: The token's row.
            columns: First and last column.
            style: Style of the line, as matplotlib names it.
            label: What the legend calls it.
        """
        from matplotlib.patches import Rectangle
        from matplotlib.patheffects import withStroke

        corner, width = (columns[0] - 0.5, row - 0.5), columns[-1] - columns[0] + 1
        look: dict[str, Any] = {
            "edgecolor": "black",
            "linestyle": style,
            "linewidth": 1.3,
            "fill": False,
            "clip_on": False,
        }
        halo = [withStroke(linewidth=2.6, foreground="white")]
        return self.axes.add_patch(Rectangle(corner, width, 1, **look, label=label, zorder=4, path_effects=halo))

    def dots(self, chosen: NDArray[np.bool_]) -> Any:
        """Marks states with dots, in a corner where the number has the middle.

        Args:
            chosen: Which states, ``[layers, tokens]``.
        """
        columns, rows = np.nonzero(chosen)
        right, up = (0.4, 0.28) if self.numbers else (0, 0)
        look = {"s": 6, "color": "white", "edgecolors": "black", "linewidths": 0.5, "zorder": 3}
        return self.axes.scatter(columns + right, rows - up, **look)

    def legend(self, handles: Sequence[Any]) -> None:
        """Explains frames and dots above the map."""
        letters = sum(len(handle.get_label()) + _LINE for handle in handles)
        columns = len(handles) if letters <= _letters(self.size) else 1
        look = {"fontsize": self.size.text, "frameon": False, "ncols": columns, "borderaxespad": 0.2}
        self.axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), **look)


def wrapped(title: str, size: FigureSize) -> list[str]:
    """The lines of a title, none of them wider than the figure."""
    return [line for long in title.split("\n") for line in textwrap.wrap(long, _letters(size))]


def _letters(size: FigureSize) -> int:
    """How many letters a line of a figure has room for."""
    return int(size.width * _INCH / (_AVERAGE * size.text))


def _luminance(colour: tuple[float, float, float, float]) -> float:
    """Relative luminance, as WCAG defines it with its curve taken for a power."""
    red, green, blue = (float(part**2.2) for part in colour[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _name_rows(axes: Any, labels: Sequence[str], size: FigureSize, height: float) -> None:
    """Names as many rows as there is room for, the last one among them; positions and tokens stand in line."""
    step = math.ceil(len(labels) * 1.2 * size.text / _INCH / height)
    at = range((len(labels) - 1) % step, len(labels), step)
    pad = max(map(len, labels)) * _LETTER * size.text + 4
    axes.set_yticks(at, labels[at.start :: step], family="monospace", ha="left", parse_math=False)
    axes.tick_params(axis="y", length=0, pad=pad)
