"""A real browser for tests: Debian's chromium, driven through chromedriver, with everything that it loads on record."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",  # containers have little of it
    "--window-size=1280,1000",
)


def missing() -> str:
    """What is missing here for a browser test; empty where nothing is."""
    programs = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if programs:
        return f"needs {' and '.join(programs)}: apt-get install chromium chromium-driver"
    return "" if importlib.util.find_spec("selenium") else "needs selenium: pip install 'uq-harness[dev]'"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser; the test is skipped where there is none, except in CI, where it fails."""
    if reason := missing():
        if os.environ.get("CI") and not os.environ.get("UQ_HARNESS_WITHOUT_BROWSER"):
            pytest.fail(f"CI {reason}")
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with pytest.MonkeyPatch.context() as environment:
        for name in ("no_proxy", "NO_PROXY"):  # chromedriver listens on this machine
            environment.setenv(name, "localhost,127.0.0.1")
        driver = webdriver.Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
        yield driver
        driver.quit()


def open_page(browser: Any, page: Path, *, dark: bool = False, width: int = 1280) -> None:
    """Opens a page as a reader with that taste and window would."""
    browser.get_log("performance")
    browser.get_log("browser")
    theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())


def requested(browser: Any) -> list[str]:
    """Every address asked for since the page was opened."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]


def complaints(browser: Any) -> list[str]:
    """What the browser's console says: script errors, and what the content security policy refused."""
    return [entry["message"] for entry in browser.get_log("browser")]
