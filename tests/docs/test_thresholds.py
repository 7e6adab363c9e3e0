"""docs/thresholds.md: its commands run, and its Python shows what it says."""

import doctest

from tests.docs.blocks import ROOT


def test_the_page_from_run_to_application(read, monkeypatch) -> None:
    page = read("docs/thresholds.md")
    assert "at most 20% of the answers given are wrong, with confidence 90%" in page.output
    written = {file.name for file in (page.folder / "policy").iterdir()}
    assert written == {"threshold.json", "reliability.png", "reliability.svg", "reliability.pdf"}
    monkeypatch.chdir(page.folder)
    page = str(ROOT / "docs" / "thresholds.md")
    found = doctest.testfile(page, module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 9
    assert found.failed == 0
