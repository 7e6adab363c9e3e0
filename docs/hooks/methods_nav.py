"""The navigation of the methods: one group a heading of docs/methods/index.md, one page a row of its tables."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig

INDEX = "methods/index.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts the groups behind the index."""
    assert config.nav is not None
    index = (Path(config.docs_dir) / INDEX).read_text(encoding="utf-8")
    pages: list[Any] = [INDEX, {"On two small models": "table_of_methods.md"}]
    pages += [{heading: [f"methods/{name}.md" for name in names]} for heading, names in groups(index).items()]
    config.nav = [{"Methods": pages} if entry == {"Methods": INDEX} else entry for entry in config.nav]
    return config


def groups(index: str) -> dict[str, list[str]]:
    """Names of the methods under each heading that has any, in order."""
    found: dict[str, list[str]] = {}
    for section in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        names = re.findall(r"\[`(\w+)`\]\(\1\.md\)", "\n".join(re.findall(r"^\|.*", section, re.MULTILINE)))
        if names:
            found[section.split("\n", 1)[0]] = list(dict.fromkeys(names))
    return found
