"""Figures: files in both formats, reproducible, and SVG that obeys a page's policy and style."""

from pathlib import Path
from xml.etree import ElementTree

from uq_harness.rendering import figures
from uq_harness.rendering.figures import Marks, inline_svg, page_axes, page_figure


def test_writes_png_svg_and_pdf_and_equal_figures_give_equal_files(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        figure = figures.new_figure(2, 1)
        figure.add_subplot().plot([0, 1], [0, 1])
        (tmp_path / name).mkdir()
        files = figures.save(figure, tmp_path / name / "risk.v2")
        assert [file.name for file in files] == ["risk.v2.png", "risk.v2.svg", "risk.v2.pdf"]
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]
    assert contents[0][0].startswith(b"\x89PNG")


def picture(name: str, title: str = "a line", *, full_size: bool = False) -> str:
    """A picture of a line, a point and a text."""
    figure, marks = page_figure(200, 100), Marks()
    axes = page_axes(figure, (10, 20, 190, 80))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()
    (line,) = axes.plot([0, 1], [0, 1], color="red")
    marks.add(line, "series on", title, method="<m>")
    (point,) = axes.plot(0.5, 0.5, "o")
    marks.add(point, "point")
    marks.add(axes.text(0.5, 0.5, "50 % <b> & more", ha="right"), "name")
    return inline_svg(figure, marks, name, "wide", full_size=full_size)


def test_a_picture_has_classes_and_no_looks_of_its_own() -> None:
    root = ElementTree.fromstring(picture("run-1"))
    assert root.attrib == {"viewBox": "0 0 200 100", "role": "img", "aria-labelledby": "run-1", "class": "wide"}
    for element in root.iter():
        assert not {"style", "fill", "stroke", "clip-path"} & set(element.attrib)
        assert element.tag != "style"


def test_a_picture_can_say_how_large_it_is() -> None:
    root = ElementTree.fromstring(picture("run-1", full_size=True))
    assert (root.attrib["width"], root.attrib["height"]) == ("200", "100")


def test_elements_stand_where_the_axes_are_and_carry_their_marks() -> None:
    root = ElementTree.fromstring(picture("run-1"))
    line = root.find("path")
    assert line is not None
    assert line.attrib == {"d": "M 10 80 L 190 20", "class": "series on", "data-method": "<m>"}
    assert line.findtext("title") == "a line"
    text = root.find("text")
    assert text is not None
    assert (text.text, text.get("x"), text.get("text-anchor")) == ("50 % <b> & more", "100", "end")


def test_ids_of_two_pictures_differ_and_every_reference_is_met() -> None:
    ids: list[str] = []
    for name in ("run-1", "run-2"):
        root = ElementTree.fromstring(picture(name))
        own = [one.attrib["id"] for one in root.iter() if "id" in one.attrib]
        assert {one.attrib["href"] for one in root.iter("use")} == {f"#{one}" for one in own}
        ids += own
    assert len(ids) == len(set(ids)) == 2


def test_control_characters_are_shown() -> None:
    assert "\x1b" not in picture("run-1", "\x1b[31m")
    assert "⟨U+001B⟩[31m" in picture("run-1", "\x1b[31m")


def test_equal_figures_give_equal_pictures() -> None:
    assert picture("run-1") == picture("run-1")
