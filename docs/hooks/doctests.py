"""Examples in docstrings begin with ``>>>``, which Markdown would take for a quotation: they become code."""

import re
from typing import Any

from griffe import Extension, Object

_EXAMPLE = re.compile(r"^>>> .*?(?=\n[ ]*\n(?!>>>)|\Z)", re.MULTILINE | re.DOTALL)


class Doctests(Extension):
    """Puts fences around examples."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called for every object with its docstring."""
        if obj.docstring:
            obj.docstring.value = _EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", obj.docstring.value)
