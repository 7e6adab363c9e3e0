"""docs/own_method.md: its commands run on the package that they make, and its Python shows what it says."""

import json
import os
import re
import subprocess
import sys

import uq_harness.evidence
from tests.docs.blocks import ROOT, text_of

PAGE = "docs/own_method.md"


def test_the_page_from_a_new_package_to_a_run(read) -> None:
    page = read(PAGE)
    assert "4 passed" in page.output
    listed = json.loads((page.folder / "methods.json").read_text(encoding="utf-8"))
    assert "my_score" in [method["name"] for method in listed]
    assert "auroc_my_score" in page.output
    files = {str(file.relative_to(page.folder / "my_score")) for file in (page.folder / "my_score").rglob("*.*")}
    assert set(re.findall(r"^\| `([\w/.]+\.(?:py|md|toml))` ", text_of(PAGE), re.MULTILINE)) <= files


def test_its_python_shows_what_it_says() -> None:
    """In an interpreter of its own, since it registers a method."""
    command = [sys.executable, "-m", "doctest", "-v", str(ROOT / PAGE)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "Test passed." in done.stdout


def test_the_evidence_that_it_lists_exists() -> None:
    rows = text_of(PAGE).partition("## What evidence there is")[2].partition("Beside these")[0]
    named = set(re.findall(r"\b([A-Z]\w+)\(", rows))
    assert len(named) > 8
    assert named <= set(uq_harness.evidence.__all__)
