"""The bar of slow work: on a terminal, after some seconds, and never in a log."""

import re
import sys

import pytest

from uq_harness.rendering import bar
from uq_harness.rendering.bar import bar_if_slow


def test_slow_work_shows_what_it_does_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bar, "_LONG", 0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(bar_if_slow([1, 2, 3], what="Reading", unit="line")) == [1, 2, 3]
    assert re.search(r"Reading: .*/3 ", capsys.readouterr().err)


def test_quick_work_and_a_log_show_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(bar_if_slow([1, 2], what="Reading", unit="line")) == [1, 2]
    monkeypatch.setattr(bar, "_LONG", 0)
    assert list(bar_if_slow([1, 2], what="Reading", unit="line")) == [1, 2]
    assert capsys.readouterr().err == ""
