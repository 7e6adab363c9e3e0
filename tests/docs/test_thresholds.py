"""docs/thresholds.md: its commands run, and its Python shows what it says."""

import doctest

from tests.docs.blocks import ROOT


def test_the_page_from_run_to_application(read, monkeypatch) -> None:
    page = read("docs/thresholds.md")
    assert "at most 0.2 of the answers given are wrong, with confidence 0.9" in page.output
    written = {file.name for file in (page.folder / "policy").iterdir()}
    assert written == {"threshold.json", "reliability.png", "reliability.svg", "reliability.pdf"}
    monkeypatch.chdir(page.folder)
    found = doctest.testfile(str(ROOT / "docs" / "thresholds.md"), module_relative=False)
    assert found.attempted > 4
    assert found.failed == 0
