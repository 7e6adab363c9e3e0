"""The pages of report and leaderboard, and an answer as a notebook shows it, under axe-core."""

from pathlib import Path
from typing import Any

import pytest

from tests.report.axe import axe, violations
from tests.report.browser import browser, open_page
from tests.report.runs import made_up, write_run
from tests.report.test_content import content_of
from uq_harness import UncertaintyModel
from uq_harness.report.leaderboard import collect_leaderboard, write_leaderboard
from uq_harness.report.write import read_with_warnings, write_report

__all__ = ["axe", "browser"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both pages of two models on two tasks, and of three checkpoints of one of them."""
    folder = tmp_path_factory.mktemp("pages")
    runs = [("a", "uq_sciq", "main"), ("a", "uq_truthfulqa", "main"), ("b", "uq_sciq", "main")]
    runs += [("b", "uq_sciq", f"step{step}") for step in (100, 200, 300)]
    for at, (model, task, revision) in enumerate(runs):
        write_run(
            folder / "runs" / str(at),
            *made_up(120, seed=at),
            model=model,
            task=task,
            config={"model_revision": revision},
            date=f"2026-01-0{at + 1}T00-00-00",
        )
    write_report(content_of(folder / "runs", reference=True), folder / "report", pictures=False)
    board = collect_leaderboard(read_with_warnings([folder / "runs"])[0])
    return {
        "report": folder / "report" / "report.html",
        "leaderboard": write_leaderboard(board, folder / "board", "Board")[0],
    }


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("page", ["report", "leaderboard"])
def test_axe_finds_nothing(browser: Any, axe: str, pages: dict[str, Path], page: str, dark: bool, width: int) -> None:
    open_page(browser, pages[page], dark=dark, width=width)
    assert violations(browser, axe) == []


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_in_an_answer(browser: Any, axe: str, tmp_path: Path, dark: bool) -> None:
    (answer,) = UncertaintyModel.from_pretrained("demo", methods="g_nll+semgrad").answer(["Who founded Foloria?"])
    colours = "#f2f2f2; background: #111" if dark else "#111; background: #fff"
    head = f'<!doctype html><html lang="en"><title>Notebook</title><body style="color: {colours}">'
    page = tmp_path / "answer.html"
    page.write_text(f"{head}<main><h1>Cell</h1>{answer._repr_html_()}</main>", encoding="utf-8")
    open_page(browser, page, dark=dark)
    assert violations(browser, axe) == []
