"""Draws the Mermaid diagrams of the pages as SVG, for the site: run it after changing a diagram.

Needs Chromium, and Mermaid in one file: ``npm pack mermaid@11`` has ``package/dist/mermaid.min.js``.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from browser import chromium
from selenium.webdriver import Chrome

sys.path.insert(0, str(Path(__file__).parents[1] / "hooks"))
from diagrams_as_pictures import FOLDER, diagrams_in, name_of
from root_files import PAGES, ROOT


def main() -> None:
    """Writes a picture of every diagram, and deletes those of diagrams that are gone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mermaid", type=Path, help="mermaid.min.js")
    script = parser.parse_args().mermaid.resolve(strict=True).as_uri()
    pages = [*(ROOT / page for page in PAGES), *(ROOT / "docs").rglob("*.md")]
    diagrams = {name_of(text): text for page in pages for text in diagrams_in(page.read_text(encoding="utf-8"))}
    folder = ROOT / "docs" / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for old in set(folder.glob("*.svg")) - {folder / name for name in diagrams}:
        old.unlink()
    with chromium() as browser, TemporaryDirectory() as place:
        page = Path(place) / "page.html"
        page.write_text(
            f'<!doctype html><meta charset="utf-8"><body><script src="{script}"></script>', encoding="utf-8"
        )
        browser.get(page.as_uri())
        for name, text in diagrams.items():
            (folder / name).write_text(_draw(browser, text) + "\n", encoding="utf-8")


def _draw(browser: Chrome, diagram: str) -> str:
    svg = browser.execute_async_script(
        """
        const [text, done] = arguments;
        mermaid.initialize({startOnLoad: false, theme: "neutral", htmlLabels: false, flowchart: {htmlLabels: false}});
        mermaid.render("diagram", text).then(({svg}) => done(svg), error => done(String(error)));
        """,
        diagram,
    )
    if not str(svg).startswith("<svg"):
        raise SystemExit(f"Mermaid does not draw this:\n{diagram}\n{svg}")
    return str(svg)


if __name__ == "__main__":
    main()
