"""A Chromium without a window, for the scripts that make pictures."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """A browser, which is closed at the end."""
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    if None in programs.values():
        raise SystemExit("needs chromium and chromedriver: apt-get install chromium chromium-driver")
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "localhost,127.0.0.1"  # where chromedriver listens
    with TemporaryDirectory() as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = str(programs["chromium"])
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=Service(str(programs["chromedriver"])))
        try:
            yield browser
        finally:
            browser.quit()
