"""Markdown, LaTeX, CSV and picture files: what hostile texts become, and that others can read them."""

import csv
import io
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from markdown_it import MarkdownIt

from tests.report.runs import HOSTILE, made_up, write_run
from tests.report.test_content import content_of
from uq_harness.functional import auroc
from uq_harness.rendering.escape import csv_text, latex, markdown, markdown_quote, visible
from uq_harness.report.content import Report
from uq_harness.report.latex import table_as_latex
from uq_harness.report.tables import Cell, Heading, Row, Table
from uq_harness.report.write import write_report


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path, np.ndarray, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("formats")
    correct, scores = made_up(60)
    correct[: len(HOSTILE)] = 0
    scores["g_nll"][: len(HOSTILE)] = 1e-4
    write_run(
        folder / "runs",
        correct,
        scores,
        model="org/a_$model|%",
        answers=[*HOSTILE, *("x" * (60 - len(HOSTILE)))],
        questions=[f"{text}?" for text in (HOSTILE * 5)],
    )
    content = content_of(folder / "runs", examples=20, examples_by="g_nll", reference=True)
    write_report(content, folder / "report")
    return content, folder / "report", correct, scores


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_in_markdown_is_what_it_was_and_one_cell(text: str) -> None:
    page = MarkdownIt("gfm-like", {"linkify": False}).render(f"| a | b |\n|---|---|\n| x{markdown(text)} | 1 |\n")
    assert page.count("<td") == 2
    assert set(re.findall(r"<(\w+)", page)) == {"table", "thead", "tbody", "tr", "th", "td"}
    cell = page.split("<td>")[1].split("</td>")[0]
    shown = cell.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
    assert shown.replace("\u2068", "").replace("\u2069", "").strip() == f"x{visible(text)}".strip()


def test_a_quotation_in_markdown_is_code() -> None:
    page = MarkdownIt("gfm-like", {"linkify": False}).render(markdown_quote("@all *x* <b>"))
    assert page == "<p><code>@all *x* &lt;b&gt;</code></p>\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_csv_cell_is_no_formula_and_one_line(text: str) -> None:
    cell = csv_text(text)
    assert not cell.startswith(tuple("=+-@\t\r"))
    assert "\n" not in cell


def test_the_csv_holds_every_number_in_full(written: tuple[Report, Path, np.ndarray, dict[str, np.ndarray]]) -> None:
    _, folder, correct, scores = written
    rows = list(csv.DictReader(io.StringIO((folder / "report.csv").read_text(encoding="utf-8"))))
    found = {row["method"]: row for row in rows if row["measure"] == "auroc"}
    assert {name: float(row["value"]) for name, row in found.items()} == {
        name: auroc(values, correct) for name, values in scores.items()
    }
    assert rows[0]["measure"] == "accuracy"
    assert float(rows[0]["value"]) == correct.mean()
    assert sum(int(row["best"]) for row in found.values()) == 1


def test_numbers_from_few_answers_are_marked_in_every_format(tmp_path: Path) -> None:
    _, scores = made_up(60)
    write_run(tmp_path / "runs", (np.arange(60) < 4).astype(int), scores)
    write_report(content_of(tmp_path / "runs"), tmp_path / "report")
    text = {file.suffix: file.read_text(encoding="utf-8") for file in (tmp_path / "report").glob("report.*")}
    text[".tex"] = (tmp_path / "report" / "tables" / "auroc.tex").read_text(encoding="utf-8")
    line = next(line for line in text[".md"].splitlines() if line.startswith("| SemGrad"))
    assert line.count("‡") == 1
    assert r"$^{\ddagger}$" in text[".tex"]
    assert "‡</span>" in text[".html"]
    rows = list(csv.DictReader(io.StringIO(text[".csv"])))
    assert {row["few_right_or_wrong"] for row in rows if row["method"]} == {"1"}


def test_confident_errors_come_as_csv(written: tuple[Report, Path, np.ndarray, dict[str, np.ndarray]]) -> None:
    content, folder, *_ = written
    rows = list(csv.DictReader(io.StringIO((folder / "confident_errors.csv").read_text(encoding="utf-8"))))
    assert len(rows) == 20
    assert [row["answer"] for row in rows] == [csv_text(one.answer) for one in content.runs[0].examples]


def test_the_markdown_has_every_table_and_no_html_of_a_model(
    written: tuple[Report, Path, np.ndarray, dict[str, np.ndarray]],
) -> None:
    content, folder, *_ = written
    page = MarkdownIt("gfm-like", {"linkify": False}).render((folder / "report.md").read_text(encoding="utf-8"))
    assert page.count("<table>") == 1 + len(content.all_tables()) + 1
    tags = set(re.findall(r"<(\w+)", page))
    assert tags <= {
        "h1",
        "h2",
        "p",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "code",
        "strong",
        "blockquote",
        "ul",
        "li",
    }


@pytest.mark.parametrize(
    "text", ["a;=cmd|' /C calc'!A1", "a; +1", "a;\uff1d1+1", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff201"]
)
def test_a_csv_cell_is_no_formula_behind_a_semicolon_or_in_full_width(text: str) -> None:
    parts = csv_text(text).split(";")
    assert not any(part.strip().startswith(tuple("=+-@\uff1d\uff0b\uff0d\uff20")) for part in parts)


@pytest.mark.parametrize(
    "name",
    ["0123456789abcdef0123456789abcdef01234567", "1" * 40, "fixed in deadbee", "GH-1", "gh-23 and more", "x/y@5b1e1e0"],
)
def test_names_of_commits_and_issues_are_code_in_markdown(name: str) -> None:
    """Code hosts link these in any text but code."""
    page = MarkdownIt("gfm-like", {"linkify": False}).render(markdown(name))
    linked = re.compile(r"\b[0-9a-f]{7,40}\b|\bGH-\d+", re.IGNORECASE)
    assert linked.search(page)
    assert not linked.search(re.sub("<code>.*?</code>", "", page))


@pytest.mark.parametrize("name", ["1234567", "uq_sciq", "facade", "a-model-7b", "GHX-1", "2026-05-04"])
def test_other_names_are_no_code_in_markdown(name: str) -> None:
    assert markdown(name) == name


# A star or a bracket would be an argument of the line end or rule before it.
_ROWS = ("[abc]", "[3cm] x", "*star", "\\input{x}", "[", "]", "*", "$x$", *HOSTILE)


def _in_a_table(names: Sequence[str]) -> str:
    rows = tuple(Row(name, name, (Cell(1.0),)) for name in names)
    table = Table("t", "[title]", "*caption", (Heading("[group]", "*column"),), rows)
    return table_as_latex(table, "[heading]", "tab:a_table")


@pytest.mark.skipif(
    shutil.which("pdflatex") is None and not os.environ.get("CI"),
    reason="needs pdflatex: apt-get install texlive-latex-recommended",
)
def test_a_table_with_hostile_names_compiles(
    written: tuple[Report, Path, np.ndarray, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    _, folder, *_ = written
    source = (folder / "report.tex").read_text(encoding="utf-8")
    tables = "".join(_in_a_table((name, *_ROWS)) for name in _ROWS[:4])  # each once behind the rule
    compiled = _compile(source.replace(r"\end{document}", tables + r"\end{document}"), folder, tmp_path)
    text = re.sub(r"\s+", " ", compiled)
    assert "Missing number" not in text


def test_each_row_of_a_table_begins_with_a_group() -> None:
    rows = [line for line in _in_a_table(_ROWS).splitlines() if line.endswith(r"\\")]
    assert all(row.startswith("{}") for row in rows[2:])
    assert len(rows) == 2 + len(_ROWS)


def _compile(source: str, report: Path, folder: Path) -> str:
    """Compiles a document with a report's tables and returns the log; an error ends the test."""
    shutil.copytree(report / "tables", folder / "tables")
    (folder / "report.tex").write_text(source, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "report.tex"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    log = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, log[-2000:]
    return log


@pytest.mark.skipif(
    shutil.which("pdflatex") is None and not os.environ.get("CI"),
    reason="needs pdflatex: apt-get install texlive-latex-recommended",
)
def test_the_latex_compiles(written: tuple[Report, Path, np.ndarray, dict[str, np.ndarray]], tmp_path: Path) -> None:
    _, folder, *_ = written
    source = (folder / "report.tex").read_text(encoding="utf-8")
    hostile = "\n\n".join(latex(text) for text in HOSTILE)
    _compile(source.replace(r"\end{document}", hostile + r"\end{document}"), folder, tmp_path)
    assert (tmp_path / "report.pdf").stat().st_size > 10_000


@pytest.mark.skipif(
    shutil.which("pdflatex") is None and not os.environ.get("CI"),
    reason="needs pdflatex: apt-get install texlive-latex-recommended",
)
def test_a_paper_reads_one_table_and_refers_to_it(
    written: tuple[Report, Path, np.ndarray, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    _, folder, *_ = written
    paper = r"""\documentclass[twocolumn]{article}
\usepackage[T1]{fontenc}
\usepackage{textcomp,booktabs,graphicx}
\begin{document}
\input{tables/prr} \input{tables/auroc} See Table~\ref{tab:uq-auroc}.
\includegraphics[width=\linewidth]{forest.pdf}
\end{document}
"""
    shutil.copy(folder / "plots" / "forest.pdf", tmp_path)
    _compile(paper, folder, tmp_path)
    assert r"\newlabel{tab:uq-auroc}{{2}{1}" in (tmp_path / "report.aux").read_text(encoding="utf-8")


def test_the_latex_has_booktabs_rules_bold_and_daggers(
    written: tuple[Report, Path, np.ndarray, dict[str, np.ndarray]],
) -> None:
    _, folder, *_ = written
    document = (folder / "report.tex").read_text(encoding="utf-8")
    files = [folder / f"{name}.tex" for name in re.findall(r"\\input{(.*)}", document)]
    assert sorted(files) == sorted((folder / "tables").iterdir())
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    assert len(set(re.findall(r"\\label{(.*)}", source))) == len(files)
    assert source.count(r"\toprule") == source.count(r"\bottomrule") == source.count(r"\begin{table}")
    assert r"\textbf{" in source
    assert r"a\_\$model\textbar{}\%" in source


def test_pictures_come_as_pdf_png_and_svg(written: tuple[Report, Path, np.ndarray, dict[str, np.ndarray]]) -> None:
    _, folder, *_ = written
    names = sorted(file.name for file in (folder / "plots").iterdir())
    of_the_run = [f"a-model_uq-sciq_token-recall_{what}" for what in ("cost", "histograms", "risk", "roc")]
    assert names == [f"{name}.{kind}" for name in (*of_the_run, "forest") for kind in ("pdf", "png", "svg")]


@pytest.mark.parametrize(("size", "inches"), [("page", 7.0), ("column", 3.4)])
def test_pictures_are_as_wide_as_a_page_or_a_column(tmp_path: Path, size: str, inches: float) -> None:
    for at, task in enumerate(("uq_sciq", "uq_truthfulqa", "uq_triviaqa")):
        write_run(tmp_path / "runs", *made_up(60, seed=at), task=task, date=f"2026-01-0{at + 1}T00-00-00")
    write_report(content_of(tmp_path / "runs"), tmp_path / "report", figure_size=size)
    pictures = list((tmp_path / "report" / "plots").glob("*.svg"))
    forests = {file.stem for file in pictures if file.stem.startswith("forest")}
    assert forests == ({"forest"} if size == "page" else {"forest", "forest_2"})  # mean and three tasks
    for file in pictures:
        root = ElementTree.parse(file).getroot()
        assert float(root.attrib["width"].removesuffix("pt")) == pytest.approx(72 * inches, rel=0.02)


def test_fonts_in_pdfs_are_outlines(written: tuple[Report, Path, np.ndarray, dict[str, np.ndarray]]) -> None:
    """Type 3 fonts are refused by many publishers; Type 42 are TrueType, a CID font of type 2 in a PDF."""
    _, folder, *_ = written
    for file in (folder / "plots").glob("*.pdf"):
        assert b"/CIDFontType2" in file.read_bytes()
        assert b"/Type3" not in file.read_bytes()


def test_pictures_of_hostile_names_are_well_formed(tmp_path: Path) -> None:
    correct, scores = made_up(60)
    names = {"\x1b[31m\x00\ufffe": scores["g_nll"], "$x$ \x07": scores["semgrad"], "plain": scores["sar"]}
    write_run(tmp_path / "runs", correct, names, model="m\x0b$", judge="j\x9b")
    write_report(content_of(tmp_path / "runs"), tmp_path / "report")
    pictures = list((tmp_path / "report" / "plots").glob("*.svg"))
    assert len(pictures) == 4
    for picture in pictures:
        ElementTree.parse(picture)
