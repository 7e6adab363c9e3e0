"""The leaderboard's page in a real browser: switching, sorting, filters, the address, downloads, the keyboard."""

import csv
import io
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.report.browser import browser, complaints, open_page, requested
from tests.report.runs import HOSTILE, made_up, write_run
from uq_harness.report.leaderboard import Leaderboard, collect_leaderboard, write_leaderboard
from uq_harness.report.leaderboard.pairs import Standing
from uq_harness.report.write import read_with_warnings

__all__ = ["browser"]

METHODS = ("g_nll", "semgrad", "sar", "paragrad", "ln_pe", "degree", "exgrad")
DAY = 86400.0


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> tuple[Leaderboard, Path]:
    """Two models on two tasks, one of them in two settings on fewer questions, and three checkpoints of a third."""
    folder = tmp_path_factory.mktemp("board")
    runs = [
        ("org/a", "uq_sciq", 150),
        ("org/a", "uq_triviaqa", 150),
        ("org/<i>b", "uq_sciq", 150),
        ("org/<i>b", "uq_triviaqa", 150),
    ]
    runs += [
        ("org/tuned@step1000", "uq_sciq", 40),
        ("org/tuned@step200", "uq_sciq", 40),
        ("org/tuned@step600", "uq_sciq", 40),
    ]
    for at, (name, task, count) in enumerate(runs):
        model, _, revision = name.partition("@")
        write_run(
            folder / "runs" / str(at),
            *made_up(count, METHODS, seed=at),
            model=model,
            task=task,
            config={"model_revision": revision or "main"},
            date=f"2026-01-0{at + 1}T00-00-00",
            timestamp=1767225600.0 + DAY * at,
        )
    found = collect_leaderboard(read_with_warnings([folder / "runs"])[0])
    return found, write_leaderboard(found, folder, "Board")[0]


def texts(browser: Any, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent.trim())"
    found: list[str] = browser.execute_script(script, selector)
    return found


def choose(browser: Any, name: str, text: str) -> None:
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element("css selector", f"select[name='{name}']")).select_by_visible_text(text)


def column(browser: Any, number: int) -> list[str]:
    return texts(browser, f"#ranks tbody tr > :nth-child({number})")


def models(browser: Any) -> None:
    browser.find_element("css selector", "input[value='models']").click()


def test_an_address_with_a_stray_percent_sign_opens_the_page(browser: Any, board: tuple[Leaderboard, Path]) -> None:
    open_page(browser, board[1])
    ranks = column(browser, 1)
    browser.get("about:blank")  # else the next address is another place in the page
    browser.get(f"{board[1].as_uri()}#%")
    assert complaints(browser) == []
    assert column(browser, 1) == ranks
    browser.get("about:blank")
    browser.get(f"{board[1].as_uri()}#find=50%")
    assert complaints(browser) == []
    assert browser.execute_script("return document.querySelector('[name=find]').value") == "50%"


def test_the_page_asks_for_nothing_and_its_policy_refuses_nothing_of_its_own(
    browser: Any, board: tuple[Leaderboard, Path]
) -> None:
    open_page(browser, board[1])
    assert requested(browser) == [board[1].as_uri()]
    assert complaints(browser) == []


def test_methods_stand_by_their_mean_with_places_and_one_best(browser: Any, board: tuple[Leaderboard, Path]) -> None:
    open_page(browser, board[1])
    expected = board[0].boards[0].methods[""]["auroc"]
    assert column(browser, 1) == [_title(name) for name in METHODS]
    assert list(expected) == list(METHODS)
    places = [f"{low}" if low == high else f"{low}–{high}" for low, high in (one.rank for one in expected.values())]
    assert column(browser, 2) == places
    shown = [float(text.split()[0]) for text in column(browser, 3)]
    assert shown == pytest.approx([100 * one.mean.value for one in expected.values()], abs=0.051)
    assert len(texts(browser, "#ranks tr.first")) == 1
    assert texts(browser, "#ranks thead th") == [
        "Method", "Rank", "Mean AUROC ↑", "uq_sciq150 questions", "uq_triviaqa150 questions",
    ]  # fmt: skip
    (verdict,) = texts(browser, "#verdict")
    assert verdict.startswith("Best: G-NLL, mean AUROC ")
    tied = sum(one.rank[0] == 1 for one in expected.values()) - 1
    assert (f"{tied} of the other 6 may be first" in verdict) or (not tied and "better than the other 6" in verdict)


def test_switches_change_rows_measure_model_and_questions(browser: Any, board: tuple[Leaderboard, Path]) -> None:
    open_page(browser, board[1])
    assert not browser.find_element("css selector", "select[name='method']").is_enabled()
    first = board[0].boards[0]

    def shows(expected: Mapping[str, Standing], titles: Callable[[str], str]) -> None:
        assert column(browser, 1) == [titles(name) for name in expected]
        values = [float(text.split()[0]) for text in column(browser, 3)]
        assert values == pytest.approx([100 * one.mean.value for one in expected.values()], abs=0.051)

    choose(browser, "measure", "AURC ↓")
    shows(first.methods[""]["aurc"], _title)
    choose(browser, "model", "a")
    shows(first.methods["a"]["aurc"], _title)
    models(browser)
    assert not browser.find_element("css selector", "select[name='model']").is_enabled()
    choose(browser, "method", "SAR")
    shows(first.models["sar"]["aurc"], str)
    choose(browser, "measure", "Accuracy ↑")
    shows(first.models[""]["accuracy"], str)
    choose(browser, "questions", "uq_sciq (40 questions)")
    assert sorted(column(browser, 1)) == ["tuned@step1000", "tuned@step200", "tuned@step600"]
    assert len(texts(browser, "#ranks thead th")) == 3  # one task is its own mean
    browser.find_element("css selector", "input[value='methods']").click()
    assert texts(browser, "select[name='measure'] option") == ["AUROC ↑", "AURC ↓", "PRR ↑"]


def _title(name: str) -> str:
    from uq_harness.report.tables import method_title

    return method_title(name)


def test_the_first_view_is_a_models_own_where_hardly_any_method_was_run_with_all(browser: Any, tmp_path: Path) -> None:
    for name, methods in (("org/few", METHODS[:1]), ("org/all", METHODS)):
        write_run(tmp_path / "runs" / name, *made_up(60, methods, seed=1), model=name, task="uq_sciq")
    found = collect_leaderboard(read_with_warnings([tmp_path / "runs"])[0])
    open_page(browser, write_leaderboard(found, tmp_path, "Board")[0])
    assert browser.find_element("css selector", "select[name='model']").get_property("value") == "all"
    assert "–" not in column(browser, 3)
    choose(browser, "model", "mean of all")
    assert column(browser, 3).count("–") == len(METHODS) - 1


def test_every_board_opens_with_its_own_choice_of_model_until_one_is_chosen(browser: Any, tmp_path: Path) -> None:
    runs = [(name, "uq_sciq", METHODS) for name in ("org/a", "org/b", "org/c")]
    runs += [("org/a", "uq_triviaqa", METHODS[:3]), ("org/b", "uq_triviaqa", METHODS[3:])]
    for at, (name, task, methods) in enumerate(runs):
        write_run(tmp_path / "runs" / str(at), *made_up(60, methods, seed=at), model=name, task=task)
    found = collect_leaderboard(read_with_warnings([tmp_path / "runs"])[0])
    open_page(browser, write_leaderboard(found, tmp_path, "Board")[0])
    shown = browser.find_element("css selector", "select[name='model']")
    sciq, trivia = (
        next(one for one in texts(browser, "select[name='questions'] option") if one.startswith(task))
        for task in ("uq_sciq", "uq_triviaqa")
    )
    choose(browser, "questions", sciq)
    assert shown.get_property("value") == ""
    choose(browser, "questions", trivia)
    assert shown.get_property("value") == "b"
    assert texts(browser, "#verdict")[0].startswith("Best: ")
    choose(browser, "model", "mean of all")
    assert texts(browser, "#verdict") == ["Nothing can be ranked over these questions."]
    address = browser.current_url
    choose(browser, "questions", sciq)
    assert shown.get_property("value") == ""
    browser.get("about:blank")
    browser.get(address)
    assert browser.find_element("css selector", "select[name='model']").get_property("value") == ""
    assert texts(browser, "#verdict") == ["Nothing can be ranked over these questions."]


def test_a_heading_sorts_by_mouse_and_by_keyboard_and_keeps_the_focus(
    browser: Any, board: tuple[Leaderboard, Path]
) -> None:
    from selenium.webdriver.common.keys import Keys

    open_page(browser, board[1])
    browser.find_element("css selector", "#ranks th:nth-child(4) button").click()
    values = [float(text.split()[0]) for text in column(browser, 4)]
    assert values == sorted(values, reverse=True)
    active = browser.switch_to.active_element
    assert active.text.startswith("uq_sciq")
    active.send_keys(Keys.ENTER)
    assert [float(text.split()[0]) for text in column(browser, 4)] == sorted(values)
    assert browser.execute_script("return document.activeElement.closest('th').ariaSort") == "ascending"
    assert texts(browser, "#status") == ["Sorted by uq_sciq, ascending"]
    assert texts(browser, "#ranks tr.first th") == ["G-NLL"]  # the best stays the best


def test_every_control_is_reached_by_the_keyboard(browser: Any, board: tuple[Leaderboard, Path]) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    open_page(browser, board[1])
    reached = []
    for _ in range(24):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        name = "const at = document.activeElement; return at.name || at.id || at.dataset.key || at.textContent.trim()"
        reached.append(browser.execute_script(name))
    wanted = [
        "theme",
        "questions",
        "rows",
        "measure",
        "model",
        "find",
        "name",
        "rank",
        "mean",
        "view-csv",
        "copy",
        "line",
    ]
    assert [name for name in reached if name in wanted] == wanted


def test_the_address_opens_the_same_view(browser: Any, board: tuple[Leaderboard, Path]) -> None:
    open_page(browser, board[1])
    models(browser)
    choose(browser, "measure", "PRR ↑")
    choose(browser, "method", "SemGrad")
    browser.find_element("css selector", "#ranks th:nth-child(1) button").click()
    choose(browser, "task", "uq_sciq")
    browser.find_element("css selector", "input[name='best']").click()
    browser.find_element("css selector", "#board th:nth-child(7) button").click()
    address = browser.current_url
    assert "rows=models" in address
    views = ("#ranks", "#board tbody tr:not([hidden])", "#verdict", "#shown")
    before = [texts(browser, one) for one in views]
    browser.get("about:blank")
    browser.get(address)
    assert [texts(browser, one) for one in views] == before
    assert browser.current_url == address
    open_page(browser, board[1])
    assert [texts(browser, one) for one in views] != before
    browser.execute_script("location.hash = arguments[0]", address.partition("#")[2])
    _until(lambda: [texts(browser, one) for one in views] == before)


def test_an_address_of_another_board_opens_what_there_is(browser: Any, board: tuple[Leaderboard, Path]) -> None:
    open_page(browser, board[1])
    first = texts(browser, "#ranks")
    browser.get("about:blank")
    browser.get(f"{board[1].as_uri()}#questions=gone&measure=f1&method=gone&sort=-gone&rows=methods")
    assert texts(browser, "#ranks") == first
    assert complaints(browser) == []


def test_the_table_is_downloaded_as_it_is_shown(browser: Any, board: tuple[Leaderboard, Path], tmp_path: Path) -> None:
    open_page(browser, board[1])
    models(browser)
    browser.find_element("css selector", "#ranks th:nth-child(1) button").click()
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    browser.find_element("id", "view-csv").click()
    _until(lambda: (tmp_path / "ranks.csv").is_file())
    rows = list(csv.DictReader(io.StringIO((tmp_path / "ranks.csv").read_text(encoding="utf-8"))))
    assert [row["model"] for row in rows] == column(browser, 1) == ["<i>b", "a"]
    found = board[0].boards[0].models["g_nll"]["auroc"]
    for row in rows:
        assert float(row["mean"]) == pytest.approx(found[row["model"]].mean.value, abs=1e-6)
        assert (int(row["rank_best"]), int(row["rank_worst"])) == found[row["model"]].rank
    assert "uq_triviaqa (150 questions) stderr" in rows[0]


def test_all_runs_filter_and_count(browser: Any, board: tuple[Leaderboard, Path]) -> None:
    open_page(browser, board[1])
    assert texts(browser, "#shown") == ["49 of 49 rows"]
    choose(browser, "task", "uq_triviaqa")
    assert texts(browser, "#shown") == ["14 of 49 rows"]
    browser.find_element("css selector", "input[name='search']").send_keys("semgrad")
    assert texts(browser, "#shown") == ["2 of 49 rows"]
    browser.find_element("css selector", "input[name='search']").clear()
    browser.find_element("css selector", "input[name='best']").click()
    assert texts(browser, "#shown") == ["2 of 49 rows"]
    assert texts(browser, "#board tbody tr:not([hidden]) th a") == ["G-NLL", "G-NLL"]


def test_checkpoints_are_drawn_in_their_order_with_the_numbers_beside(
    browser: Any, board: tuple[Leaderboard, Path]
) -> None:
    open_page(browser, board[1])
    assert texts(browser, "#points tbody th") == ["step200", "step600", "step1000"]
    drawn = (
        "return [...document.querySelectorAll('#chart circle')].map((one) => Number(one.getAttribute(arguments[0])))"
    )
    across, down = browser.execute_script(drawn, "cx"), browser.execute_script(drawn, "cy")
    assert (across[1] - across[0]) / (across[2] - across[0]) == pytest.approx(0.5)
    runs = {run.run.model: run.quality["g_nll"]["auroc"].value for run in board[0].runs}
    values = [runs[f"org/tuned@step{step}"] for step in (200, 600, 1000)]
    assert np.argsort(down).tolist() == np.argsort(values)[::-1].tolist()
    choose(browser, "along", "Accuracy ↑")
    accuracies = {run.run.model: run.accuracy.value for run in board[0].runs}
    shown = [float(text.split()[0]) for text in texts(browser, "#points tbody td:last-child")]
    assert shown == pytest.approx([100 * accuracies[f"org/tuned@step{step}"] for step in (200, 600, 1000)], abs=0.051)
    assert "Accuracy" in texts(browser, "#line-caption")[0]
    assert "along=accuracy" in browser.current_url


def test_every_row_leads_to_its_configuration_and_its_results(browser: Any, board: tuple[Leaderboard, Path]) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    open_page(browser, board[1])
    inside, outside = browser.find_elements("css selector", "#board tbody tr:first-child a")
    target = outside.get_attribute("href")
    browser.execute_script("arguments[0].click()", inside)
    opened = WebDriverWait(browser, 30).until(lambda one: one.find_element("css selector", "details.run[open]"))
    assert '"pretrained": "org/tuned"' in opened.find_element("css selector", "pre").text
    browser.get(target)
    assert '"lm_eval_version": "0.4.13"' in browser.page_source


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_folded_filters_narrow_names_and_rows_that_differ(
    browser: Any, board: tuple[Leaderboard, Path], dark: bool
) -> None:
    open_page(browser, board[1], dark=dark, width=390)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    assert browser.execute_script("return document.querySelectorAll('details.controls[open]').length") == 0
    width = "return document.querySelector(arguments[0]).getBoundingClientRect().width"
    assert browser.execute_script(width, "#ranks tbody th") <= 140
    assert browser.execute_script(width, "#board tbody th") <= 140
    place = "return document.querySelector('#ranks tbody td.mean').getBoundingClientRect().right"
    assert browser.execute_script(place) <= 390  # rank and mean without scrolling
    names = browser.execute_script(
        "return [...document.querySelectorAll('#board tbody th')].map((one) => one.innerText)"
    )
    assert len(set(names)) == len(names)
    browser.find_element("css selector", "details.controls summary").click()
    assert browser.find_element("css selector", "select[name='measure']").is_displayed()


def test_hostile_names_are_shown_as_text(browser: Any, tmp_path: Path) -> None:
    names = [text for text in HOSTILE if text and "/" not in text and "\x00" not in text and "\ud83d" not in text]
    for at, text in enumerate(names):
        write_run(
            tmp_path / str(at), *made_up(40, METHODS[:2], seed=at), model=text.replace("\n", " ").replace("\r", " ")
        )
    page = write_leaderboard(collect_leaderboard(read_with_warnings([tmp_path])[0]), tmp_path / "out", "Board")[0]
    open_page(browser, page)
    models(browser)
    assert browser.title == "Board"
    assert len(column(browser, 1)) == len(names)
    assert browser.execute_script("return document.querySelectorAll('main img, main bdi *').length") == 0
    assert "\u202e" not in browser.page_source
    assert complaints(browser) == []


def _until(done: Callable[[], bool]) -> None:
    for _ in range(100):
        if done():
            return
        time.sleep(0.1)
    pytest.fail("it did not happen within 10 seconds")
