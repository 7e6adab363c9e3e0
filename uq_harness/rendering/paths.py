"""Settings without the folders of the machine that a run was made on: only the names of files and models stay."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PART = r"""[^\\/\s"'`=,;()\[\]{}<>|*?]+"""
# Behind an equals sign, as in model arguments, and where it is the whole text, a path may have spaces in it.
_SPACED = r"""[^\\/\s"'=,;\n](?:[^\\/"'=,;\n]*[^\\/\s"'=,;\n])?"""
_ROOTS = r"(?:file://(?=/))?(?:/|~[\w.-]*/|[A-Za-z]:[\\/]|\\\\)"
_PATHS = (
    re.compile(rf"(?:^|(?<==)){_ROOTS}(?:{_SPACED}[\\/])+(?:{_SPACED})?(?=$|[,;])"),
    re.compile(rf"""(?<![^\s"'`=(\[{{,;:]){_ROOTS}(?:{_PART}[\\/])+(?:{_PART})?"""),
)
# lm_eval calls a folder after its model, `__home__me__small` after `/home/me/small`.
_OF_A_FOLDER = re.compile(r"[A-Za-z]?__(?:[^\\/\n]+?__)+[^\\/\n_][^\\/\n]*")


def without_paths(value: Any) -> Any:
    r"""A copy of settings in which every absolute path is cut to its last part.

    So is a folder's name that lm_eval made of one. Paths of one part, such as ``/model``, tell nothing of a machine and
    stay.

    Args:
        value: What JSON knows.

    >>> without_paths({"pretrained": "/home/me/models/small", "files": ["C:\\Users\\me\\q.jsonl"], "limit": 10})
    {'pretrained': 'small', 'files': ['q.jsonl'], 'limit': 10}
    >>> without_paths("pretrained=/home/me/My Models/small,base_url=https://host/v1/chat")
    'pretrained=small,base_url=https://host/v1/chat'
    """
    if isinstance(value, Mapping):
        return {without_paths(key): without_paths(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_paths(inner) for inner in value]
    if not isinstance(value, str):
        return value
    if _OF_A_FOLDER.fullmatch(value):
        return parts_of(value)[-1]
    for pattern in _PATHS:
        value = pattern.sub(lambda found: parts_of(found[0])[-1], value)
    return value


def paths_in(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Absolute paths in settings, each with its place, such as ``config.model_args.pretrained``."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from paths_in(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from paths_in(inner, f"{place}[{number}]")
    elif isinstance(value, str):
        found = _OF_A_FOLDER.fullmatch(value) or next(filter(None, (one.search(value) for one in _PATHS)), None)
        if found:
            yield place, found[0]


def parts_of(path: str) -> list[str]:
    """The parts of a path, or of a folder's name that lm_eval made of one.

    >>> parts_of("/home/me/small"), parts_of("__home__me__small"), parts_of("org/large")
    (['home', 'me', 'small'], ['home', 'me', 'small'], ['org', 'large'])
    """
    separator = "__" if _OF_A_FOLDER.fullmatch(path) else r"[\\/]"
    return [part for part in re.split(separator, path) if part] or [path]
