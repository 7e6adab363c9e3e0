"""The registry that finds all judges, and builds the one a user asked for."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any, TypeVar

from uq_harness.correctness import judges
from uq_harness.correctness._base import Judge
from uq_harness.errors import UQHarnessError, one_of

J = TypeVar("J", bound=type[Judge])
_registry: dict[str, type[Judge]] = {}


def register_judge(cls: J) -> J:
    """Class decorator that makes a judge known under its name.

    Raises:
        UQHarnessError: Another class has the name already, or the class is no dataclass of its own.
    """
    if "__dataclass_fields__" not in vars(cls):
        raise UQHarnessError(f"judge {cls.__name__} must be a frozen dataclass: put @dataclass(frozen=True) below")
    known = _registry.get(cls.name)
    if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise UQHarnessError(f"two judges are named {cls.name!r}: {known.__qualname__} and {cls.__qualname__}")
    _registry[cls.name] = cls
    return cls


@functools.cache
def _discover() -> None:
    for module in pkgutil.iter_modules(judges.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{judges.__name__}.{module.name}")


def judge_names() -> list[str]:
    """The names of all judges, in alphabetical order.

    >>> judge_names()
    ['bem', 'exact_match', 'f1', 'llm_judge', 'rouge_l', 'token_recall']
    """
    _discover()
    return sorted(_registry)


def build_judge(spec: str | Mapping[str, Any]) -> Judge:
    """The judge that a name, or a mapping of a name and options, means.

    >>> build_judge({"name": "f1", "threshold": 0.6}).describe()
    {'name': 'f1', 'threshold': 0.6, 'question_words': 'ignore'}

    Args:
        spec: What stands under ``correctness`` in ``--metadata``: ``"bem"``, or ``{"name": "bem", "threshold": 0.8}``.

    Raises:
        UQHarnessError: The name, an option or an option's value is not allowed.
    """
    options: Mapping[str, Any] = {"name": spec} if isinstance(spec, str) else spec
    if not isinstance(options, Mapping) or not isinstance(options.get("name"), str):
        raise UQHarnessError(
            f'correctness={spec!r} names no judge: use one of {", ".join(judge_names())}, or {{"name": "bem", ...}} '
            "with options"
        )
    names = judge_names()
    name = options["name"]
    if name not in _registry:
        raise UQHarnessError(_unknown("correctness judge", name, names))
    cls = _registry[name]
    known = [field.name for field in dataclasses.fields(cls)]
    for option in options:
        if option != "name" and option not in known:
            raise UQHarnessError(_unknown(f"option of the correctness judge {name}:", str(option), known))
    judge = cls(**{option: value for option, value in options.items() if option != "name"})
    if judge.key != name and judge.key in names:
        raise UQHarnessError(
            f"label={judge.label!r} of the correctness judge {name} is another judge's name: change it"
        )
    return judge


def _unknown(kind: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {one_of(close)}?" if close else "it is none of them"
    return f"unknown {kind} {name!r}: {hint} (known: {', '.join(known)})"
