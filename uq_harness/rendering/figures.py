"""Figures: matplotlib, imported when one is drawn, the files in which they are written, and SVG for a page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

from uq_harness.rendering.escape import visible

if TYPE_CHECKING:
    from matplotlib.artist import Artist

FORMATS = ("png", "svg", "pdf")
_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_ANCHOR = re.compile(r"text-anchor: (\w+)")
_DECIMALS = re.compile(r"-?\d+\.\d+")
_LEFT_OUT = ("metadata", "style", "clipPath")
_POINTS_PER_INCH = 72
_DOTS_PER_INCH = 300
_NAME_OF_Y = 13  # where the name of the vertical axis is
PAGE_TEXT = 12  # size of texts in the pictures of a page, as in its style


class FigureSize(NamedTuple):
    """How large figures for print are.

    Attributes:
        width: Inches.
        text: Size of their texts, in points.
    """

    width: float
    text: float


SIZES = {"page": FigureSize(7.0, 8.0), "column": FigureSize(3.4, 7.0)}


@contextmanager
def text_size(points: float) -> Iterator[None]:
    """Texts that are drawn inside have that size, unless they say otherwise."""
    import matplotlib

    with matplotlib.rc_context({"font.size": points, "axes.titlesize": "medium", "legend.fontsize": "medium"}):
        yield


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib figure of that size in inches, outside pyplot's global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def bare_figure(width: float, height: float) -> Any:
    """The same with parts that are placed by hand, which is what many panels need to be drawn in time."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def save(figure: Any, path: Path) -> list[Path]:
    """Writes a figure as PNG, SVG and PDF, whose fonts are outlines that can be edited; equal figures, equal files.

    Args:
        figure: What `new_figure` has returned.
        path: Where to, without a suffix.

    Returns:
        The files.
    """
    import matplotlib

    _make_visible(figure)
    files = [path.with_name(f"{path.name}.{kind}") for kind in FORMATS]
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with matplotlib.rc_context({"svg.hashsalt": path.name, "pdf.fonttype": 42}):
        for file in files:
            figure.savefig(file, dpi=_DOTS_PER_INCH, metadata=undated.get(file.suffix))
    return files


@dataclass(frozen=True)
class Mark:
    """What an element of a figure is to a page's style and script.

    Attributes:
        classes: Its CSS classes.
        title: Its tooltip; empty for none.
        data: Its ``data-`` attributes.
    """

    classes: str
    title: str = ""
    data: dict[str, str] = field(default_factory=dict)


class Marks:
    """The marks of a figure's elements."""

    def __init__(self) -> None:
        self._found: dict[str, Mark] = {}

    def add(self, artist: Artist, classes: str, title: str = "", **data: str) -> None:
        """Marks an element."""
        name = f"mark_{len(self._found)}"
        artist.set_gid(name)
        self._found[name] = Mark(classes, title, data)

    def __getitem__(self, name: str | None) -> Mark | None:
        return self._found.get(name or "")


def page_figure(width: float, height: float) -> Any:
    """A new figure for a page; sizes are in units of its SVG."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH), dpi=_POINTS_PER_INCH)


def page_axes(figure: Any, frame: tuple[float, float, float, float]) -> Any:
    """Axes in a figure for a page.

    Args:
        figure: What `page_figure` has returned.
        frame: Left, upper, right and lower end of the axes, downwards from the upper left corner.
    """
    import matplotlib

    left, upper, right, lower = frame
    width, height = (_POINTS_PER_INCH * inches for inches in figure.get_size_inches())
    place = (left / width, 1 - lower / height, (right - left) / width, (lower - upper) / height)
    with matplotlib.rc_context({"font.size": PAGE_TEXT, "axes.labelsize": "medium", "axes.labelpad": 6.0}):
        axes = figure.add_axes(place)
    axes.patch.set_visible(False)
    axes.yaxis.set_label_coords((_NAME_OF_Y - left) / (right - left), 0.5)  # however wide the numbers are
    return axes


def inline_svg(figure: Any, marks: Marks, name: str, classes: str = "", *, full_size: bool = False) -> str:
    """A figure as SVG for a page: text is text, and only the page's style says how its elements look.

    A page's policy forbids styles in attributes, and colours have to follow light and dark. So what matplotlib writes
    of these is left out, and each element that has a mark gets its classes.

    Args:
        figure: The figure.
        marks: What its elements are; an element without a mark takes the looks of what holds it.
        name: Id of the element that names the picture; beginning of the ids inside.
        classes: CSS classes of the picture.
        full_size: Whether it says how large it is, instead of filling whatever holds it.
    """
    import matplotlib

    _make_visible(figure)
    figure.patch.set_visible(False)
    written = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(written.getvalue())
    picture = ElementTree.Element("svg", viewBox=root.attrib["viewBox"], role="img")
    picture.set("aria-labelledby", name)
    if classes:
        picture.set("class", classes)
    if full_size:
        _, _, picture.attrib["width"], picture.attrib["height"] = root.attrib["viewBox"].split()
    for child in root:
        _copy(child, picture, marks, name)
    return ElementTree.tostring(picture, encoding="unicode")


def _copy(element: ElementTree.Element, parent: ElementTree.Element, marks: Marks, name: str) -> None:
    """Copies an element and what is in it, without looks, clipping and what describes the file."""
    tag, mark = _tag(element), marks[element.get("id")]
    if tag in _LEFT_OUT or (tag == "defs" and all(_tag(child) in _LEFT_OUT for child in element)):
        return
    if tag == "g" and mark is None:  # matplotlib's own groups
        for child in element:
            _copy(child, parent, marks, name)
        return
    only = _tag(element[0]) if len(element) == 1 else ""
    if tag == "g" and mark is not None and (only == "path" or (only == "text" and not mark.title)):
        element = element[0]  # a text's tooltip is next to it, not in it
    copy = ElementTree.SubElement(parent, _tag(element), _attributes(element, name))
    copy.text = element.text if _tag(element) == "text" else None
    if mark is not None:
        copy.attrib |= {"class": mark.classes, **{f"data-{key}": visible(value) for key, value in mark.data.items()}}
    if mark is not None and mark.title:
        ElementTree.SubElement(copy, "title").text = visible(mark.title)
    for child in element:
        _copy(child, copy, marks, name)


def _tag(element: ElementTree.Element) -> str:
    return element.tag.removeprefix(_SVG)


def _attributes(element: ElementTree.Element, name: str) -> dict[str, str]:
    """The attributes of an element that place it; numbers have one decimal, which is a tenth of a pixel."""
    kept = {
        key: _DECIMALS.sub(lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), " ".join(value.split()))
        for key, value in element.items()
        if key in ("d", "x", "y", "transform")
    }
    if "rotate(-0 " in kept.get("transform", ""):
        del kept["transform"]
    if anchor := _ANCHOR.search(element.get("style", "")):
        kept["text-anchor"] = anchor[1]
    if (link := element.get(_LINK)) is not None:
        kept["href"] = f"#{name}-{link[1:]}"
    elif _tag(element) == "path" and element.get("id"):
        kept["id"] = f"{name}-{element.get('id')}"
    return kept


def _make_visible(figure: Any) -> None:
    """Shows control characters of all texts in a figure, which no SVG file may hold; their lines stay."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        written = text.get_text()
        shown = "\n".join(map(visible, written.split("\n")))
        if shown != written:
            text.set_text(shown)
