"""Settings without the folders of the machine that a run was made on: only the names of files and models stay."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PART = r"""[^\\/\s"'`=,;()\[\]{}<>|*?]+"""
# Behind an equals sign, as in model arguments, and where it is the whole text, a path may have spaces in it.
_SPACED = r"""[^\\/\s"'=,;\n](?:[^\\/"'=,;\n]*[^\\/\s"'=,;\n])?"""
# Behind the tag that ends an answer, what looks like a path is text.
_END = "</s>"
_ROOTS = r"(?:file://(?=/))?(?:/|~[\w.-]*/|[A-Za-z]:[\\/]|\\\\)"
# Behind these signs what looks like a path is the rest of something: of a relative path, a placeholder (`{a}/b/c`), a
# pattern of files (`data/*/x/y`), a place in JSON (`#/a/b`).
_BEGIN = rf"(?<![\w./\\}})\]~#-])(?<![\w./\\}})\]~?*-][*?])(?<!{_END})"
_PATHS = (
    re.compile(rf"(?:^|(?<==)){_ROOTS}(?:{_SPACED}[\\/]+)+{_SPACED}[\\/]*(?=$|[,;])"),
    re.compile(rf"""{_BEGIN}{_ROOTS}(?:{_PART}[\\/]+)+{_PART}[\\/]*"""),
)
# A person's own folder, whose name is theirs.
_HOME = re.compile(
    r"(?:file://)?/?(?:(?:mnt/|cygdrive/)?[a-z]/|[a-z]:[\\/]+)?(?:home|Users)[\\/]+[^\\/]+[\\/]*", re.IGNORECASE
)
# A model is called by its folder, whose ever that is: two of them are never to become one.
_MODEL = r"(?:\w+_)?(?:model|tokenizer|nli)(?:_name)?|pretrained|peft|delta|adapter|name"
_NAME_BEFORE = re.compile(rf"""(?<!\w)(?:{_MODEL})["']?\s*[=:]\s*["']?$""")
_LONGEST_NAME = 60
# Its words mean what they say, and a run whose prompt was changed is another run.
_PROMPT = re.compile(
    r"doc_to_\w+|\w+_delimiter|chat_template|description|gen_prefix|system_instruction|until", re.IGNORECASE
)
_SHOTS = "fewshot_config"  # has settings, prompts, and worked examples
_EXAMPLES = "samples"
# lm_eval notes the source of a function that makes a prompt.
_SOURCE = re.compile(
    r"\s*(?:(?:async\s+)?def\s+\w+\s*\(|class\s+\w+\s*[(:]|@[\w.]+[^\n]*\n|(?:\w+\s*=\s*)?(?:lambda\b|[\w.]*partial\())"
)
_FOLDER = "model_name_sanitized"  # what lm_eval calls the folder of a model's results


def without_paths(value: Any) -> Any:
    r"""A copy of settings in which every absolute path is cut to its last part.

    So is a folder's name that lm_eval made of one (``model_name_sanitized``). A person's own folder, ``/home/ada``, is
    cut to ``~``, but where it names a model (``pretrained``, ``tokenizer``, …). Paths of one part, such as ``/model``,
    tell nothing of a machine and stay. Prompts and what ends an answer (``doc_to_text``, ``system_instruction``,
    ``until``, …) stay as they are, unless they are the source of a function.

    Args:
        value: What JSON knows.

    >>> without_paths({"pretrained": "/home/me/models/small", "files": ["C:\\Users\\me\\q.jsonl"], "limit": 10})
    {'pretrained': 'small', 'files': ['q.jsonl'], 'limit': 10}
    >>> without_paths("pretrained=/home/me/My Models/small,base_url=https://host/v1/chat")
    'pretrained=small,base_url=https://host/v1/chat'
    """
    return _cut(value)


def _cut(value: Any, name: str = "") -> Any:
    """The same of what is called so."""
    if _is_prompt(value, name):
        return value
    if isinstance(value, Mapping):
        return {_cut(key): _cut(inner, _name_within(name, str(key))) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(inner, name) for inner in value]
    if not isinstance(value, str):
        return value
    if name == _FOLDER:
        return name_of_model(value)
    for pattern in _PATHS:
        value = pattern.sub(lambda found: _last(found, name), value)
    return value


def _name_within(name: str, entry: str) -> str:
    """What decides about an entry of an object: all that is in a prompt, or in a worked example, is prompt."""
    if _PROMPT.fullmatch(name):
        return name
    return "doc_to_text" if name == _SHOTS and entry == _EXAMPLES else entry


def _is_prompt(value: Any, name: str) -> bool:
    return isinstance(value, str) and _PROMPT.fullmatch(name) is not None and not _SOURCE.match(value)


def _last(found: re.Match[str], name: str) -> str:
    before = found.string[max(0, found.start() - _LONGEST_NAME) : found.start()]
    if _HOME.fullmatch(found[0]) and not re.fullmatch(_MODEL, name) and not _NAME_BEFORE.search(before):
        return "~"
    return parts_of(found[0])[-1]


def name_of_model(model: str) -> str:
    """A model's name without folders, whether it is called by its path or by the folder that lm_eval made of that.

    >>> name_of_model("/home/me/small"), name_of_model("__home__small"), name_of_model("org/large")
    ('small', 'small', 'org/large')
    """
    parts = _parts_of_a_folder(model)
    return parts[-1] if parts else str(_cut(model, "model"))


def paths_in(value: Any) -> Iterator[tuple[str, str]]:
    """Absolute paths in settings, each with its place, such as ``config.model_args.pretrained``; none in prompts."""
    yield from _paths_in(value, "", "")


def _paths_in(value: Any, place: str, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _paths_in(inner, f"{place}.{key}" if place else str(key), _name_within(name, str(key)))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _paths_in(inner, f"{place}[{number}]", name)
    elif name == _FOLDER and isinstance(value, str) and is_called_after_a_path(value):
        yield place, value
    elif isinstance(value, str) and not _is_prompt(value, name):
        found = next(filter(None, (one.search(value) for one in _PATHS)), None)
        if found:
            yield place, found[0]


def is_called_after_a_path(folder: str) -> bool:
    """Whether a folder's name is what lm_eval makes of an absolute path.

    >>> is_called_after_a_path("__home__me__small"), is_called_after_a_path("org__large")
    (True, False)
    """
    return bool(_parts_of_a_folder(folder))


def parts_of(path: str) -> list[str]:
    """The parts of a path, or of a folder's name that lm_eval made of one.

    >>> parts_of("/home/me/small"), parts_of("__home__me__small"), parts_of("org/large")
    (['home', 'me', 'small'], ['home', 'me', 'small'], ['org', 'large'])
    """
    return _parts_of_a_folder(path) or [part for part in re.split(r"[\\/]", path) if part] or [path]


def _parts_of_a_folder(name: str) -> list[str]:
    """The parts of the path that a folder is called after, ``__home__me__small`` after ``/home/me/small``; else none.

    A path of one part is none that tells of a machine.
    """
    drive, *rest = name.split("__")
    parts = [part for part in rest if part]
    if len(parts) < 2 or len(drive) > 1 or (drive and not drive.isalpha()) or re.search(r"[\\/\n]", name):
        return []
    return parts
