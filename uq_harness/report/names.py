"""Names of the report's files."""

from __future__ import annotations

import re


def file_name(text: str) -> str:
    """Letters, digits and a few signs of a text, for a file's name.

    >>> file_name("org/a model (limit=5)"), file_name("$")
    ('org-a-model-limit-5', 'unnamed')
    """
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.")[:60] or "unnamed"
