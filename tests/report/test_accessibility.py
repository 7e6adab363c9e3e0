"""The report's page under axe-core, which checks what of WCAG a program can."""

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.report.browser import browser, open_page
from tests.report.runs import made_up, write_run
from tests.report.test_content import content_of
from uq_harness.report.write import write_report

__all__ = ["browser"]

PACKAGE = "axe-core@4.14.1"


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script: the file that UQ_HARNESS_AXE names, else fetched by npm; skipped where there is neither."""
    if named := os.environ.get("UQ_HARNESS_AXE"):
        return Path(named).read_text(encoding="utf-8")
    if shutil.which("npm") is None:
        pytest.skip(f"needs npm, or UQ_HARNESS_AXE with the path of axe.min.js from {PACKAGE}")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(["npm", "pack", PACKAGE], cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"npm pack {PACKAGE}: {done.stderr}")
        pytest.skip(f"{PACKAGE} cannot be had from npm: set UQ_HARNESS_AXE to the path of its axe.min.js")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(browser: Any, axe: str, tmp_path: Path, dark: bool) -> None:
    for at, (model, task) in enumerate([("a", "uq_sciq"), ("a", "uq_truthfulqa"), ("b", "uq_sciq")]):
        write_run(tmp_path / "runs", *made_up(120, seed=at), model=model, task=task, date=f"2026-01-0{at + 1}T00-00-00")
    write_report(content_of(tmp_path / "runs", reference=True), tmp_path / "report", pictures=False)
    open_page(browser, tmp_path / "report" / "report.html", dark=dark)
    browser.execute_script(axe)
    found = browser.execute_async_script(
        "const done = arguments[0];"
        "axe.run(document).then((all) => done(all.violations.map((one) => [one.id, one.impact, one.nodes[0].html])))"
    )
    assert not found, json.dumps(found, indent=1)
