"""All methods on eight tasks, mean beside: what a reader of the widest pages still sees, in a real browser."""

from pathlib import Path
from typing import Any

import pytest

from tests.report.axe import axe, violations
from tests.report.browser import browser, complaints, open_page
from tests.report.runs import made_up, write_run
from tests.report.test_content import content_of
from uq_harness.methods import all_methods
from uq_harness.report.leaderboard import collect_leaderboard, write_leaderboard
from uq_harness.report.write import read_with_warnings, write_report

__all__ = ["axe", "browser"]

TASKS = 8
WINDOWS = pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1280, False), (1280, True)])
# How many columns of numbers lie whole inside a table's box, and how high its highest row is.
SEEN = """
const table = document.querySelector(arguments[0]);
const box = table.closest(".scroll").getBoundingClientRect();
const cells = [...table.tBodies[0].rows[0].cells].map((cell) => cell.getBoundingClientRect());
const heights = [...table.tBodies[0].rows].map((row) => row.getBoundingClientRect().height);
return [cells.filter((cell) => cell.right <= Math.min(box.right, innerWidth) + 1).length, Math.max(...heights)];
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for task in range(TASKS):
        correct, scores = made_up(60, list(all_methods()), seed=task)
        write_run(folder / "runs", correct, scores, task=f"uq_task_{task}", date=f"2026-01-0{task + 1}T00-00-00")
    write_report(content_of(folder / "runs"), folder / "report", pictures=False)
    board = collect_leaderboard(read_with_warnings([folder / "runs"])[0])
    return {
        "report": folder / "report" / "report.html",
        "leaderboard": write_leaderboard(board, folder / "board", "Board")[0],
    }


@WINDOWS
@pytest.mark.parametrize(
    ("page", "table", "least"), [("report", "#table-auroc-1", (2, 9)), ("leaderboard", "#ranks", (3, 10))]
)
def test_fifty_methods_on_eight_tasks_stay_readable(
    browser: Any, pages: dict[str, Path], page: str, table: str, least: tuple[int, int], width: int, dark: bool
) -> None:
    open_page(browser, pages[page], width=width, dark=dark)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert len(browser.find_elements("css selector", f"{table} tbody tr")) == len(all_methods())
    columns, highest = browser.execute_script(SEEN, table)
    assert columns >= least[width > 1000]  # the method among them
    assert highest < 110  # four lines
    assert complaints(browser) == []


@pytest.mark.parametrize("page", ["report", "leaderboard"])
def test_axe_finds_nothing(browser: Any, axe: str, pages: dict[str, Path], page: str) -> None:
    open_page(browser, pages[page])
    assert violations(browser, axe) == []
