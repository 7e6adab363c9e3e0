"""Counts what the structure of the package can be judged by: ``python .ci/structure.py``; ``--json`` for a machine.

An arrow is an import between two names at the top level of ``uq_harness``: packages, with all that they contain, and
modules. ``lint-imports`` checks that the arrows run one way (pyproject.toml lists the layers).
"""

from __future__ import annotations

import argparse
import ast
import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1] / "uq_harness"


def main() -> None:
    """Prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--arrows", action="store_true", help="print every arrow, too")
    given = parser.parse_args()
    files = sorted(PACKAGE.rglob("*.py"))
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in files}
    arrows = arrows_of(trees)
    counts = {**sizes(files), **shape(trees, arrows), "widest functions": widest(trees)}
    if given.json:
        print(json.dumps(counts, indent=2))
        return
    for name, value in counts.items():
        print(f"{name}: {value}")
    for source, target in sorted(arrows) if given.arrows else []:
        print(f"{source} -> {target}")


def sizes(files: list[Path]) -> dict[str, Any]:
    """Lines of the files."""
    lines = [len(file.read_text(encoding="utf-8").splitlines()) for file in files]
    return {
        "files": len(lines),
        "lines": sum(lines),
        "median lines of a file": statistics.median(lines),
        "files under 30 lines": sum(count < 30 for count in lines),
        "files under 60 lines": sum(count < 60 for count in lines),
    }


def shape(trees: dict[Path, ast.Module], arrows: set[tuple[str, str]]) -> dict[str, Any]:
    """Names at the top level, and the arrows between them."""
    top = {top_level_name(file) for file in trees} - {"__init__", "__main__"}
    return {
        "names at the top level": len(top),
        "arrows": len(arrows),
        "arrows in a circle": len(in_circles(arrows)),
    }


def top_level_name(file: Path) -> str:
    """The package or module at the top level that a file belongs to."""
    first = file.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def arrows_of(trees: dict[Path, ast.Module]) -> set[tuple[str, str]]:
    """All imports between two names at the top level."""
    found: set[tuple[str, str]] = set()
    for file, tree in trees.items():
        for node in ast.walk(tree):
            for name in imported(node):
                parts = name.split(".")
                if parts[0] == PACKAGE.name:
                    target = parts[1] if len(parts) > 1 and exists(parts[1]) else "__init__"
                    found.add((top_level_name(file), target))
    return {(source, target) for source, target in found if source != target}


def exists(name: str) -> bool:
    """Whether a name inside the package is a package or module."""
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


def imported(node: ast.AST) -> list[str]:
    """The modules that a statement imports, by their whole names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def in_circles(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The arrows whose source can be reached from their target."""
    following: dict[str, set[str]] = defaultdict(set)
    for source, target in arrows:
        following[source].add(target)

    def reached(start: str) -> set[str]:
        seen, waiting = set[str](), [start]
        while waiting:
            for target in following[waiting.pop()] - seen:
                seen.add(target)
                waiting.append(target)
        return seen

    return {(source, target) for source, target in arrows if source in reached(target)}


def widest(trees: dict[Path, ast.Module], count: int = 5) -> dict[str, int]:
    """The functions with the most arguments; commands of the command line declare theirs and are left out."""
    found: dict[str, int] = {}
    for file, tree in trees.items():
        classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        owners = {id(child): one.name for one in classes for child in one.body}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and top_level_name(file) != "cli":
                owner = owners.get(id(node))
                name = f"{owner}.{node.name}" if owner else node.name
                arguments = len(node.args.args) + len(node.args.kwonlyargs) - (owner is not None)
                found[f"{file.relative_to(PACKAGE)}:{name}"] = arguments
    return dict(sorted(found.items(), key=lambda item: -item[1])[:count])


if __name__ == "__main__":
    main()
