"""docs/python_api.md: every line of Python in it runs and shows what it says."""

import doctest
import textwrap

from tests.docs.blocks import ROOT, blocks, text_of

PAGE = "docs/python_api.md"


def test_the_examples_show_what_they_say() -> None:
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    found = doctest.testfile(str(ROOT / PAGE), module_relative=False, optionflags=flags)
    assert found.attempted > 15
    assert found.failed == 0


def test_what_it_shows_of_the_server_is_in_the_server() -> None:
    (shown,) = (block.text for block in blocks(PAGE, "python") if ">>>" not in block.text)
    assert without_blank_lines(textwrap.indent(shown, "    ")) in without_blank_lines(text_of("examples/server.py"))


def without_blank_lines(code: str) -> str:
    return "\n".join(line for line in code.splitlines() if line.strip())
