"""Formulas become MathML, which browsers draw by themselves: no script, no font from elsewhere."""

import html
import re
from xml.etree import ElementTree

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_THIN = "0.1667em"


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replaces what pymdownx.arithmatex left of each formula."""
    return _FORMULA.sub(lambda found: mathml(html.unescape(found[2]), block=found[1] == "div"), content)


def mathml(formula: str, *, block: bool) -> str:
    """A formula of LaTeX in MathML, with space around names such as log, and limits under starred operators."""
    root = ElementTree.fromstring(convert(formula, display="block" if block else "inline"))
    for parent in list(root.iter()):
        if parent.tag == _tag("msub") and parent[0].get("movablelimits") == "true":
            parent.tag = _tag("munder")
        for place, child in enumerate(list(parent)):
            if child.tag == _tag("mi") and len(child.text or "") > 1:
                parent[place] = _spaced(child)
    ElementTree.register_namespace("", _NAMESPACE)
    return ElementTree.tostring(root, encoding="unicode")


def _spaced(name: ElementTree.Element) -> ElementTree.Element:
    row = ElementTree.Element(_tag("mrow"))
    row.append(ElementTree.Element(_tag("mspace"), width=_THIN))
    row.append(name)
    row.append(ElementTree.Element(_tag("mspace"), width=_THIN))
    return row


def _tag(name: str) -> str:
    return f"{{{_NAMESPACE}}}{name}"
