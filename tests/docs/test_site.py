"""The documentation site: every part is there, and a real browser loads nothing from elsewhere.

Needs the extra ``docs``: ``tox -e docs`` runs it.
"""

import inspect
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import ROOT
from tests.docs.parsing import command_line, options_of
from tests.report.axe import axe, violations
from tests.report.browser import browser, complaints, requested
from uq_harness import functional
from uq_harness.methods import all_methods

pytest.importorskip("material", reason="needs the extra docs")
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

__all__ = ["axe", "browser"]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as CI builds it."""
    folder = tmp_path_factory.mktemp("site")
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True))
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def text(site: Path, page: str) -> str:
    return (site / page / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", all_methods())
def test_a_method_has_a_page_with_its_formula_as_mathml(site: Path, name: str) -> None:
    page = text(site, f"methods/{name}")
    assert "arithmatex" not in page
    assert "$$" not in page


def test_formulas_are_mathml(site: Path) -> None:
    assert text(site, "methods/semgrad").count("<math") > 5


def test_the_help_of_every_command_is_there(site: Path) -> None:
    page = text(site, "reference/commands")
    for command in command_line().commands:
        assert f'id="uq-harness-{command}"' in page
    for option in (name for name in options_of("compare") - {"--help"} if name.startswith("-")):
        assert f"<code>{option}" in page or f", {option}" in page or f"/ {option}" in page


def test_every_public_formula_is_there_with_its_example_as_code(site: Path) -> None:
    page = text(site, "reference/functional")
    for name in (name for name in functional.__all__ if inspect.isroutine(getattr(functional, name))):
        assert f'id="uq_harness.functional.{name}"' in page
    assert "&gt;&gt;&gt;" not in re.sub(r"<pre.*?</pre>", "", page, flags=re.DOTALL)


def test_what_applications_use_is_there(site: Path) -> None:
    page = text(site, "reference/applications")
    for name in ("UncertaintyModel", "UncertaintyModel.answer", "ScoredAnswer", "Abstainer", "register"):
        assert re.search(rf'id="uq_harness\.([\w.]+\.)?{re.escape(name)}"', page), name


def test_files_outside_the_folder_of_pages_are_there(site: Path) -> None:
    for file in ("CONTRIBUTING/index.html", "CHANGELOG/index.html", "examples/quickstart.ipynb"):
        assert (site / file).is_file()
    assert {file.name for file in site.rglob("*.py")} == {"_uq_harness_autoload.py", "server.py"}  # linked, as files


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    "page", ["", "methods/", "methods/semgrad/", "reference/commands/", "CONTRIBUTING/", "gallery/"]
)
def test_a_page_loads_nothing_from_elsewhere_and_fits(browser: Any, address: str, page: str, width: int) -> None:
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get_log("browser")
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address + page)
    assert [url for url in requested(browser) if not url.startswith((address, "data:", "blob:"))] == []
    assert complaints(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", ["", "methods/semgrad/", "reference/commands/", "gallery/"])
def test_axe_finds_nothing_serious(browser: Any, axe: str, address: str, page: str, theme: str) -> None:
    wanted = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    browser.get(address + page)
    browser.execute_script("localStorage.clear()")  # Material keeps the first colours that it chose
    browser.refresh()
    scheme = browser.execute_script("return document.body.dataset.mdColorScheme")
    assert scheme == {"light": "default", "dark": "slate"}[theme]
    grave = [one for one in violations(browser, axe) if one.startswith(("serious", "critical"))]
    later = "serious: scrollable-region-focusable"  # Material lets the keyboard reach code when it comes into view
    assert [one for one in grave if not (one.startswith(later) and "as in <code" in one)] == []


def test_search_finds_a_method(browser: Any, address: str) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    size = {"width": 1280, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address)
    field = browser.find_element(By.CSS_SELECTOR, "input[name=query]")
    browser.execute_script("arguments[0].focus()", field)
    field.send_keys("eigenscore")
    links = WebDriverWait(browser, 20).until(
        lambda page: page.find_elements(By.CSS_SELECTOR, ".md-search-result__link")
    )
    assert any("methods/eigenscore/" in link.get_attribute("href") for link in links)


def test_a_page_that_would_load_from_elsewhere_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    page = tmp_path / "docs" / "index.md"
    page.parent.mkdir()
    page.write_text("# Page\n\n![Picture](https://example.org/picture.png)\n", encoding="utf-8")
    hook = ROOT / "docs" / "hooks" / "offline.py"
    (tmp_path / "mkdocs.yml").write_text(f"site_name: x\nhooks: [{hook}]\n", encoding="utf-8")
    with pytest.raises(Abort):
        build(load_config(str(tmp_path / "mkdocs.yml"), site_dir=str(tmp_path / "site")))
    assert "index.md would load from elsewhere" in caplog.text
    assert "https://example.org/picture.png" in caplog.text
