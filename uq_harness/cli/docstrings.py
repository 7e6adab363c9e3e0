"""What a class's docstring says of its arguments, read from its source: help must not import torch."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Argument:
    """An argument.

    Attributes:
        name: Its name.
        meaning: What the docstring says of it, without its markup.
        default: Its default as it stands in the source; ``None`` without one, and where that is ``None``.
    """

    name: str
    meaning: str
    default: str | None


def documented_arguments(module: str, name: str) -> tuple[Argument, ...]:
    """The arguments of a class's constructor that its docstring describes.

    Args:
        module: The full name of the class's module.
        name: The class's name.

    >>> [one.name for one in documented_arguments("uq_harness.models.hf", "UQHFLM")][:2]
    ['pretrained', 'methods']
    """
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    (found,) = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name)
    text = ast.get_docstring(found) or ""
    described = text.partition("\nArgs:\n")[2].partition("\n\n")[0]
    meanings = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", described, re.MULTILINE)
    defaults = _defaults(found)
    return tuple(Argument(name, _plain(meaning), defaults.get(name)) for name, meaning in meanings)


def _defaults(found: ast.ClassDef) -> dict[str, str]:
    init = next((n for n in found.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    if init is None:
        return {}
    arguments = init.args
    pairs = [*zip(reversed(arguments.args), reversed(arguments.defaults), strict=False)]
    pairs += [(one, value) for one, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value]
    shown = {one.arg: ast.unparse(value).strip("'\"") for one, value in pairs}
    return {
        name: value.lower() if value in ("True", "False") else value for name, value in shown.items() if value != "None"
    }


def _plain(text: str) -> str:
    """Text on one line, with neither the marks of code nor references to modules."""
    return re.sub(r" \(see `[^`]*`\)", "", " ".join(text.split()).replace("``", ""))
