"""docs/methods/index.md: every method, under what it needs, with a page."""

import re

import pytest

from tests.docs.blocks import ROOT, text_of
from uq_harness.cli.methods import GROUPS, group_of
from uq_harness.methods import all_methods

SECTIONS = {
    section.split("\n", 1)[0]: re.findall(r"^\|.*", section, re.MULTILINE)
    for section in re.split(r"^## ", text_of("docs/methods/index.md"), flags=re.MULTILINE)[1:]
}


@pytest.mark.parametrize("name", all_methods())
def test_a_method_is_listed_once_under_what_it_needs(name: str) -> None:
    found = [heading for heading, rows in SECTIONS.items() for row in rows if f"[`{name}`]({name}.md)" in row]
    group = group_of(all_methods()[name])
    assert found == [group[0].upper() + group[1:]]
    assert (ROOT / "docs" / "methods" / f"{name}.md").is_file()


@pytest.mark.parametrize("name", all_methods())
def test_a_row_says_which_sets_a_method_is_in(name: str) -> None:
    (row,) = (row for rows in SECTIONS.values() for row in rows if f"[`{name}`]({name}.md)" in row)
    sets = all_methods()[name].sets
    assert ("*only in `all`*" in row) == (sets == {"all"})
    assert row.endswith("| yes |") == ("default" in sets)


def test_groups_stand_from_little_to_much() -> None:
    known = [group[0].upper() + group[1:] for group in GROUPS]
    assert [heading for heading in SECTIONS if heading in known] == known


@pytest.mark.parametrize("page", sorted(path.stem for path in (ROOT / "docs" / "methods").glob("*.md")))
def test_a_page_is_that_of_a_method(page: str) -> None:
    assert page in {*all_methods(), "index"}
