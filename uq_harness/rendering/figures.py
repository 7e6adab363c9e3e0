"""Pictures: matplotlib, imported when one is drawn, and both formats in which pictures are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uq_harness.errors import UQHarnessError
from uq_harness.rendering.escape import visible

FORMATS = ("png", "svg")


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib figure of that size in inches, outside pyplot's global state.

    Raises:
        UQHarnessError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UQHarnessError(
            f"pictures need matplotlib, which cannot be imported ({error}): pip install 'uq-harness[plots]'"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, path: Path) -> list[Path]:
    """Writes a figure as PNG and SVG; equal figures give equal files.

    Args:
        figure: What `new_figure` has returned.
        path: Where to, without a suffix.

    Returns:
        The files.
    """
    import matplotlib

    _make_visible(figure)
    files = [path.with_name(f"{path.name}.{kind}") for kind in FORMATS]
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        for file in files:
            figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
    return files


def _make_visible(figure: Any) -> None:
    """Shows control characters of all texts in a figure, which no SVG file may hold; their lines stay."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        written = text.get_text()
        shown = "\n".join(map(visible, written.split("\n")))
        if shown != written:
            text.set_text(shown)
