"""Mermaid diagrams, which GitHub draws itself, are pictures on the site: docs/make/diagrams.py makes them.

A picture's name is the hash of the diagram's text, so that a picture of an older text is never shown.
"""

import hashlib
import re
from pathlib import Path
from posixpath import dirname, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

FOLDER = "pictures/diagrams"
_DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Puts pictures in the place of diagrams."""

    def picture(found: re.Match[str]) -> str:
        path = f"{FOLDER}/{name_of(found[1])}"
        if not (Path(config.docs_dir) / path).is_file():
            raise PluginError(f"{page.file.src_uri}: a diagram has no picture: run docs/make/diagrams.py")
        return f"![Diagram]({relpath(path, dirname(page.file.src_uri) or '.')}){{.diagram}}"

    return _DIAGRAM.sub(picture, markdown)


def diagrams_in(markdown: str) -> list[str]:
    """The texts of all diagrams of a page."""
    return _DIAGRAM.findall(markdown)


def name_of(diagram: str) -> str:
    """Name of the file with a diagram's picture."""
    return f"{hashlib.sha256(diagram.encode()).hexdigest()[:16]}.svg"
