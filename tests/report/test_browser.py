"""The report and the leaderboard in a real browser."""

from pathlib import Path
from typing import Any

import pytest

from tests.report.browser import browser, complaints, open_page, requested
from tests.report.runs import HOSTILE, made_up, write_run
from tests.report.test_content import content_of
from uq_harness.cli.leaderboard import leaderboard
from uq_harness.cli.report import report
from uq_harness.rendering.escape import visible
from uq_harness.report.write import write_report

__all__ = ["browser"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report and a leaderboard over two models and two tasks; one model's answers are hostile."""
    folder = tmp_path_factory.mktemp("pages")
    for at, (model, task) in enumerate(
        [("org/a", "uq_sciq"), ("org/a", "uq_truthfulqa"), ("org/<i>b", "uq_sciq"), ("org/<i>b", "uq_truthfulqa")]
    ):
        correct, scores = made_up(
            60, seed=at, methods=("g_nll", "semgrad", "sar", "paragrad", "ln_pe", "degree", "exgrad")
        )
        correct[: len(HOSTILE)] = 0
        for values in scores.values():
            values[: len(HOSTILE)] = 1e-4
        texts = [HOSTILE[row] if row < len(HOSTILE) else f"text {row}" for row in range(60)]
        write_run(
            folder / "runs",
            correct,
            scores,
            model=model,
            task=task,
            answers=texts,
            questions=[f"{text}?" for text in texts],
            date=f"2026-01-0{at + 1}T00-00-00",
        )
    report(
        [folder / "runs"],
        folder / "report",
        reference="paper",
        title="Report",
        method="g_nll",
        examples=20,
        alpha=0.05,
        combined=True,
        token_value="log-probability",
        methods=None,
        figure_size="page",
        all_runs=False,
        plots=False,
        as_json=True,
    )
    leaderboard([folder / "runs"], folder / "board", title="Board", as_json=True)
    return folder


def texts(browser: Any, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent.trim())"
    found: list[str] = browser.execute_script(script, selector)
    return found


@pytest.mark.parametrize("page", ["report/report.html", "board/leaderboard.html"])
def test_a_page_asks_for_nothing_and_its_policy_refuses_nothing_of_its_own(
    browser: Any, pages: Path, page: str
) -> None:
    open_page(browser, pages / page)
    assert requested(browser) == [(pages / page).as_uri()]
    assert complaints(browser) == []


def test_the_policy_refuses_scripts_and_requests_that_are_not_the_pages_own(browser: Any, pages: Path) -> None:
    open_page(browser, pages / "report" / "report.html")
    browser.execute_script(
        "const script = document.createElement('script'); script.textContent = 'document.title = \"taken\"';"
        "document.body.append(script);"
        "const image = new Image(); image.src = 'http://localhost:9/x.png'; document.body.append(image);"
    )
    assert browser.title == "Report"
    said = complaints(browser)
    assert any("script-src" in line for line in said)
    assert any("default-src" in line or "img-src" in line for line in said)


def test_hostile_answers_are_shown_as_text(browser: Any, pages: Path) -> None:
    open_page(browser, pages / "report" / "report.html")
    assert browser.title == "Report"
    shown = texts(browser, "#run-1 td.prose bdi")
    for text in filter(None, HOSTILE):
        assert visible(text).strip() in shown
    assert "(empty)" in shown
    assert browser.execute_script("return document.querySelectorAll('main script, main img, bdi *').length") == 0
    assert "<i>b" in texts(browser, "#table-runs th bdi")


def test_right_to_left_answers_do_not_reorder_what_stands_around_them(browser: Any, pages: Path) -> None:
    open_page(browser, pages / "report" / "report.html")
    isolated = (
        "return [...document.querySelectorAll('td.prose bdi')]"
        ".every((one) => getComputedStyle(one).unicodeBidi === 'isolate')"
    )
    assert browser.execute_script(isolated)
    assert "\u202e" not in browser.page_source


def test_a_heading_sorts_its_table_by_mouse_and_by_keyboard(browser: Any, pages: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    open_page(browser, pages / "report" / "report.html")
    button = browser.find_element("css selector", "#table-auroc-1 th button[data-column='3']")
    button.click()
    column = (
        "return [...document.querySelectorAll('#table-auroc-1 tbody tr')]"
        ".map((row) => Number(row.cells[3].dataset.value))"
    )
    values = browser.execute_script(column)
    assert values == sorted(values, reverse=True)
    assert browser.execute_script("return arguments[0].closest('th').ariaSort", button) == "descending"
    button.send_keys(Keys.ENTER)
    assert browser.execute_script(column) == sorted(values)
    said = "return document.getElementById('status').textContent"
    assert browser.execute_script(said).startswith("Sorted by ")
    assert browser.execute_script(said).endswith(", ascending")


def test_one_measure_is_shown_and_the_keyboard_switches_to_another(browser: Any, pages: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    open_page(browser, pages / "report" / "report.html")
    shown = "return [...document.querySelectorAll('.switched > div')].filter((one) => !one.hidden).map((o) => o.id)"
    assert browser.execute_script(shown) == ["auroc-1"]
    browser.find_element("css selector", ".switch input:checked").send_keys(Keys.ARROW_RIGHT)
    assert browser.execute_script(shown) == ["aurc-1"]
    browser.find_element("css selector", ".switch input[value='prr-1']").click()
    assert browser.execute_script(shown) == ["prr-1"]
    assert texts(browser, "#status") == ["PRR ↑ is shown"]
    browser.execute_script("location.hash = '#aurc-1'; window.dispatchEvent(new HashChangeEvent('hashchange'))")
    assert browser.execute_script(shown) == ["aurc-1"]


def test_the_ranking_is_sorted_by_its_first_column_and_numbers_its_rows(browser: Any, pages: Path) -> None:
    open_page(browser, pages / "report" / "report.html")
    for measure, order in (("auroc", "descending"), ("aurc", "ascending"), ("prr", "descending")):
        column = (
            f"return [...document.querySelectorAll('#table-{measure}-1 tbody tr')]"
            ".map((row) => Number(row.cells[1].dataset.value))"
        )
        values = browser.execute_script(column)
        assert values == sorted(values, reverse=order == "descending")
        heading = f"return document.querySelector('#table-{measure}-1 thead tr:last-child th:nth-child(2)').ariaSort"
        assert browser.execute_script(heading) == order
    place = (
        "return getComputedStyle(document.querySelector('#table-auroc-1 tbody th'), '::before')"
        ".getPropertyValue('content')"
    )
    assert browser.execute_script(place) == "counter(place)"
    browser.find_element("css selector", "#table-auroc-1 th button[data-column='0']").click()
    assert browser.execute_script(place) == "none"  # sorted by name there are no places


def test_chosen_methods_have_no_places_until_a_heading_sorts_them(browser: Any, pages: Path, tmp_path: Path) -> None:
    content = content_of(pages / "runs", methods=["sar", "g_nll", "semgrad"])
    write_report(content, tmp_path / "report", pictures=False)
    open_page(browser, tmp_path / "report" / "report.html")
    assert texts(browser, "#table-auroc-1 tbody th") == ["SAR", "G-NLL", "SemGrad"]
    place = (
        "return getComputedStyle(document.querySelector('#table-auroc-1 tbody th'), '::before')"
        ".getPropertyValue('content')"
    )
    assert browser.execute_script(place) == "none"
    browser.find_element("css selector", "#table-auroc-1 th button[data-column='1']").click()
    assert browser.execute_script(place) == "counter(place)"


@pytest.mark.parametrize("width", [390, 1280])
def test_method_and_mean_stay_in_view_when_a_table_is_scrolled(browser: Any, pages: Path, width: int) -> None:
    open_page(browser, pages / "report" / "report.html", width=width)
    lefts = (
        "const box = document.querySelector('#table-auroc-1').closest('.scroll'); box.scrollLeft = 120;"
        "return [...document.querySelector('#table-auroc-1 tbody tr').cells].slice(0, 2)"
        ".map((cell) => cell.getBoundingClientRect().left - box.getBoundingClientRect().left)"
    )
    method, mean = browser.execute_script(lefts)
    assert 0 <= method <= 2
    assert mean > method + 100
    assert mean < width - 100


def test_missing_numbers_stay_last_whatever_the_order(browser: Any, pages: Path) -> None:
    open_page(browser, pages / "report" / "report.html")
    button = browser.find_element("css selector", "#table-paper-table-1 thead tr:last-child th:last-child button")
    column = (
        "return [...document.querySelectorAll('#table-paper-table-1 tbody tr')].map((row) => "
        "[...row.cells].at(-1).dataset.value)"
    )
    for _ in range(2):
        button.click()
        values = browser.execute_script(column)
        assert values == sorted(values, key=lambda value: value == "")


def test_a_forest_curves_ridges_and_costs_are_drawn(browser: Any, pages: Path) -> None:
    open_page(browser, pages / "report" / "report.html")
    methods = texts(browser, "#table-auroc-1 tbody th")
    named = [text for text in texts(browser, "svg[aria-labelledby=forest-1] text.tick") if text in methods]
    assert named == methods
    for kind in ("risk", "roc"):
        assert len(texts(browser, f"#run-1 .small figcaption[id^=run-1-{kind}]")) == 7
        assert len(browser.find_elements("css selector", f"[aria-labelledby^=run-1-{kind}] .band")) == 7
    assert len(browser.find_elements("css selector", "[aria-labelledby=run-1-histograms] .right")) == 7
    sizes = (
        "return [...document.querySelectorAll('#run-1 svg[role=img]')].map((one) => one.getBoundingClientRect().width)"
    )
    assert min(browser.execute_script(sizes)) > 100


def test_no_two_elements_share_an_id_and_every_reference_is_met(browser: Any, pages: Path) -> None:
    open_page(browser, pages / "report" / "report.html")
    ids = browser.execute_script("return [...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    used = browser.execute_script("return [...document.querySelectorAll('use')].map((one) => one.getAttribute('href'))")
    assert used
    assert {link.removeprefix("#") for link in used} <= set(ids)


def test_pointing_at_a_method_tells_its_numbers(browser: Any, pages: Path) -> None:
    open_page(browser, pages / "report" / "report.html")
    told = texts(browser, "#run-1 svg.wide .point > title")
    assert len(told) == 5  # what two others cost is not in these records
    assert all("AUROC" in note for note in told)
    named = texts(browser, "#run-1 svg.wide .name text")
    assert named  # those that no cheaper method reaches
    assert set(named) <= {note.partition(":")[0] for note in told}


@pytest.mark.parametrize("dark", [False, True])
def test_curves_and_points_follow_light_and_dark(browser: Any, pages: Path, dark: bool) -> None:
    open_page(browser, pages / "report" / "report.html", dark=dark)
    colour = "const s = getComputedStyle(document.querySelector(arguments[0])); return [s.stroke, s.fill]"
    for selector, at, expected in (
        ("#run-1 .small .series.on", 0, ("rgb(0, 105, 180)", "rgb(90, 174, 240)")),
        ("#run-1 svg.wide .point.family1 use", 1, ("rgb(0, 105, 180)", "rgb(90, 174, 240)")),
        ("#run-1 svg.wide .point.family4 use", 1, ("rgb(255, 255, 255)", "rgb(20, 23, 27)")),
        ("#run-1 svg.wide .axis", 1, ("rgb(89, 97, 107)", "rgb(163, 172, 184)")),
        ("svg[aria-labelledby=forest-1] .interval.worse", 0, ("rgb(89, 97, 107)", "rgb(163, 172, 184)")),
    ):
        assert browser.execute_script(colour, selector)[at] == expected[dark]


@pytest.mark.parametrize("page", ["report/report.html", "board/leaderboard.html"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_window_is_too_narrow(browser: Any, pages: Path, page: str, width: int) -> None:
    open_page(browser, pages / page, width=width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_contrast_in_light_and_dark(browser: Any, pages: Path, dark: bool) -> None:
    open_page(browser, pages / "report" / "report.html", dark=dark)
    colours = "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    for selector in ("body", ".soft", ".err", "a"):
        text = browser.execute_script("return getComputedStyle(document.querySelector(arguments[0])).color", selector)
        paper = browser.execute_script(colours)[1]
        assert contrast(text, paper) >= 4.5


def test_the_button_switches_from_light_to_dark(browser: Any, pages: Path) -> None:
    open_page(browser, pages / "report" / "report.html")
    paper = "return getComputedStyle(document.body).backgroundColor"
    before = browser.execute_script(paper)
    browser.find_element("id", "theme").click()
    assert luminance(browser.execute_script(paper)) < luminance(before)


def luminance(colour: str) -> float:
    """Relative luminance of ``rgb(r, g, b)`` (WCAG 2)."""
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
