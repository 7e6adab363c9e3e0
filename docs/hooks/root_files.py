"""Pages link to files outside docs/ as GitHub needs it: the site gets these files, and links that lead to them."""

import re
from pathlib import Path
from posixpath import dirname, normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# Pages of the site that are not in docs/; what pages link to besides is found in them.
PAGES = ("CONTRIBUTING.md", "CHANGELOG.md")
_FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the root, and every file outside docs/ that a page links to."""
    waiting = [*PAGES, *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    added: set[str] = set()
    while waiting:
        path = waiting.pop()
        if not path.startswith("docs/") and path not in added:
            added.add(path)
            files.append(_file(path, config))
        elif path in added:
            continue
        if path.endswith(".md"):
            waiting += [target for target in _targets(path) if not target.startswith("docs/")]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links between files of the repository into links between pages of the site."""
    here = page.file.src_uri
    in_root = page.file.generated_by is not None
    parts = _FENCED.split(markdown)
    return "".join(
        part if part.startswith("```") else _LINK.sub(lambda link: _on_site(link[1], here, in_root), part)
        for part in parts
    )


def _file(path: str, config: MkDocsConfig) -> File:
    shown = InclusionLevel.INCLUDED if path in PAGES else InclusionLevel.NOT_IN_NAV
    return File.generated(config, path, abs_src_path=str(ROOT / path), inclusion=shown)


def _targets(path: str) -> list[str]:
    """What a page links to, by its path from the root; the README is the site's first page."""
    text = "".join(_FENCED.split((ROOT / path).read_text(encoding="utf-8"))[::2])
    found = [normpath(f"{dirname(path)}/{link}".lstrip("/")) for link in _LINK.findall(text)]
    return [target for target in found if (ROOT / target).is_file() and target != "README.md"]


def _on_site(link: str, here: str, in_root: bool) -> str:
    path = normpath(f"{dirname(here if in_root else f'docs/{here}')}/{link}".lstrip("/"))
    place = "index.md" if path == "README.md" else path.removeprefix("docs/")
    if (ROOT / path).is_dir():
        place += "/index.md"
    return relpath(place, dirname(here) or ".")
