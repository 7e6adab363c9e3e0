"""Links between pages lead to files and headings that exist."""

import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, pages, prose_of

PAGES = [
    *pages(),
    "CHANGELOG.md",
    *(
        str(page.relative_to(ROOT))
        for folder in ("tasks", "metrics", "uq_harness")
        for page in (ROOT / folder).rglob("*.md")
    ),
]


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", prose_of(str(page.relative_to(ROOT))), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_resolve(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (ROOT / page).parent / file if file else ROOT / page
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found.resolve()), target
