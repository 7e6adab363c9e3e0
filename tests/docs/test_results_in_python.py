"""docs/results_in_python.md: its command runs, and its Python shows what it says."""

import doctest

from tests.docs.blocks import ROOT


def test_the_page_from_run_to_tables(read, monkeypatch) -> None:
    monkeypatch.chdir(read("docs/results_in_python.md").folder)
    page = str(ROOT / "docs" / "results_in_python.md")
    found = doctest.testfile(page, module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 8
    assert found.failed == 0
