"""axe-core, which checks what of WCAG a program can check."""

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

PACKAGE = "axe-playwright-python==0.1.8"  # only its axe.min.js is used
RUN = """
const done = arguments[0];
axe.run(document).then((all) => done(all.violations.map(
    (one) => `${one.impact}: ${one.id}, ${one.nodes.length} times, as in ${one.nodes[0].html}`)));
"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The script; the test is skipped where it is not installed, except in CI, where it fails."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        reason = f"needs axe-core: pip install --no-deps {PACKAGE}"
        if os.environ.get("CI") and not os.environ.get("UQ_HARNESS_WITHOUT_BROWSER"):
            pytest.fail(f"CI {reason}")
        pytest.skip(reason)
    return Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")


def violations(browser: Any, axe: str) -> list[str]:
    """What axe-core finds on the page that is open, one line each, which begins with its impact."""
    browser.set_script_timeout(300)  # a page of fifty methods on a busy machine
    browser.execute_script(axe)
    found: list[str] = browser.execute_async_script(RUN)
    return found
