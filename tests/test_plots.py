"""Pictures: both formats, reproducible, and what is said where matplotlib is missing."""

import sys
from pathlib import Path

import pytest

from uq_harness.errors import UQHarnessError
from uq_harness.rendering import figures as plots


def test_writes_png_and_svg_and_equal_figures_give_equal_files(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    contents = []
    for name in ("a", "b"):
        figure = plots.new_figure(2, 1)
        figure.add_subplot().plot([0, 1], [0, 1])
        (tmp_path / name).mkdir()
        files = plots.save(figure, tmp_path / name / "risk.v2")
        assert [file.name for file in files] == ["risk.v2.png", "risk.v2.svg"]
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]
    assert contents[0][0].startswith(b"\x89PNG")


def test_without_matplotlib_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UQHarnessError, match=r"pip install 'uq-harness\[plots\]'"):
        plots.new_figure(1, 1)
