"""Writes a working task or method of the user's own."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.includes import tasks_folder

_ENDING = ".jinja"


def write_task(name: str, parent: Path) -> list[Path]:
    """Writes a task with three questions and three worked examples into the folder ``parent/name``.

    Args:
        name: What ``--tasks`` will call it.
        parent: The folder for ``--include_path``.

    Returns:
        The files.

    Raises:
        UQHarnessError: The name is not allowed or taken, or the folder exists or cannot be made.
    """
    _refuse_name("task", name, parent)
    if name in {file.stem for file in Path(tasks_folder()).glob("*/*.yaml")}:
        raise UQHarnessError(f"the task {name} is part of uq-harness: choose another name")
    folder = _new_folder(parent / name)
    return _write("task", folder, {"name": name, "folder": parent.as_posix()})


def write_method(name: str, parent: Path) -> list[Path]:
    """Writes a package with a method, its test and its page into the folder ``parent/name``.

    Args:
        name: What ``methods=`` will call it, and the name of the package.
        parent: Where the folder goes.

    Returns:
        The files.

    Raises:
        UQHarnessError: The name is not allowed or taken, or the folder exists or cannot be made.
    """
    from uq_harness.methods import all_methods, sets

    _refuse_name("method", name, parent)
    if name.endswith("_stderr"):
        raise UQHarnessError(f"method name {name!r}: auroc_{name} would look like an error: choose another name")
    if name in all_methods() or name in sets.NAMES:
        raise UQHarnessError(f"methods={name} is taken (see `uq-harness methods`): choose another name")
    if name in sys.stdlib_module_names or find_spec(name) is not None:
        raise UQHarnessError(f"there is a Python package called {name}: choose another name")
    folder = _new_folder(parent / name)
    words = name.split("_")
    cls = _class_name(words)
    title = " ".join([words[0].capitalize(), *words[1:]])
    return _write("method", folder, {"name": name, "cls": cls, "title": title, "distribution": name.replace("_", "-")})


def _class_name(words: list[str]) -> str:
    """The words as a class's name, with ``Method`` after it where Python or the written files use that name already."""
    cls = "".join(word.capitalize() for word in words)
    sources = [file.read_text(encoding="utf-8") for _, file in _templates(files(__package__) / "method")]
    used = {word for source in sources for word in re.findall(r"\w+", source)}
    return f"{cls}Method" if cls in used or hasattr(builtins, cls) or keyword.iskeyword(cls) else cls


def _refuse_name(kind: str, name: str, parent: Path) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise UQHarnessError(
            f"{kind} name {name!r} is not allowed: use small letters, digits and single underscores, beginning with a "
            f"letter, such as my_{kind}"
        )
    if (parent / name).exists():
        raise UQHarnessError(f"{str(parent / name)!r} exists: nothing is overwritten. Choose another name or --folder")


def _new_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UQHarnessError(f"the folder {str(folder)!r} cannot be made ({error.strerror}): choose another") from None
    return folder


def _write(kind: str, folder: Path, values: dict[str, str]) -> list[Path]:
    environment = Environment(
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # the files are no HTML
    )
    written = []
    for path, template in _templates(files(__package__) / kind):
        file = folder / path.replace("NAME", values["name"]).removesuffix(_ENDING)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(environment.from_string(template.read_text(encoding="utf-8")).render(values), encoding="utf-8")
        written.append(file)
    return written


def _templates(folder: Traversable, within: str = "") -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for one in sorted(folder.iterdir(), key=lambda one: one.name):
        if one.is_dir():
            found += _templates(one, f"{within}{one.name}/")
        elif one.name.endswith(_ENDING):
            found.append((within + one.name, one))
    return found
