"""No page loads anything from elsewhere: readers are not tracked, and the site works without a network."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page

_LOADED = (
    re.compile(r"<(?:script|img|iframe|source|video)\b[^>]*\ssrc=[\"']?((?:https?:)?//[^\"'\s>]+)"),
    re.compile(r"<link\b(?=[^>]*rel=[\"']?(?:stylesheet|preload|icon))[^>]*\shref=[\"']?((?:https?:)?//[^\"'\s>]+)"),
)
_IN_STYLE = re.compile(r"(?:@import\s+|url\()[\"']?((?:https?:)?//[^\"')\s]+)")


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuses a page with scripts, styles, pictures or fonts of another site."""
    _refuse(page.file.src_uri, [address for pattern in _LOADED for address in pattern.findall(output)])
    return output


def on_post_build(config: MkDocsConfig) -> None:
    """Refuses style sheets that load from another site."""
    for sheet in Path(config.site_dir).rglob("*.css"):
        _refuse(sheet.name, _IN_STYLE.findall(sheet.read_text(encoding="utf-8")))


def _refuse(where: str, addresses: list[str]) -> None:
    if addresses:
        raise PluginError(f"{where} would load from elsewhere: {', '.join(addresses)}")
