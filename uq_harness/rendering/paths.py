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
_PATHS = (
    re.compile(rf"(?:^|(?<==)){_ROOTS}(?:{_SPACED}[\\/]+)+{_SPACED}[\\/]*(?=$|[,;])"),
    re.compile(rf"""(?<![^\s"'`=(\[{{,;:<>|])(?<!{_END}){_ROOTS}(?:{_PART}[\\/]+)+{_PART}[\\/]*"""),
)
# A person's own folder, whose name is theirs.
_HOME = re.compile(r"(?:file://)?(?:/home|/Users|[A-Za-z]:[\\/]+Users)[\\/]+[^\\/]+[\\/]*", re.IGNORECASE)
# A model is called by its folder, whose ever that is: two of them are never to become one.
_MODEL = r"(?:\w+_)?(?:model|tokenizer|nli)(?:_name)?|pretrained|peft|delta|adapter|name"
_NAME_BEFORE = re.compile(rf"""(?<!\w)(?:{_MODEL})["']?\s*[=:]\s*["']?$""")
_LONGEST_NAME = 60
# Its words mean what they say, and a run whose prompt was changed is another run.
_PROMPTS = frozenset(
    {
        "chat_template",
        "description",
        "doc_to_choice",
        "doc_to_target",
        "doc_to_text",
        "fewshot_config",
        "fewshot_delimiter",
        "gen_prefix",
        "system_instruction",
        "target_delimiter",
        "until",
    }
)
_FOLDER = "model_name_sanitized"  # what lm_eval calls the folder of a model's results


def without_paths(value: Any) -> Any:
    r"""A copy of settings in which every absolute path is cut to its last part.

    So is a folder's name that lm_eval made of one (``model_name_sanitized``). A person's own folder, ``/home/ada``, is
    cut to ``~``, but where it names a model (``pretrained``, ``tokenizer``, …). Paths of one part, such as ``/model``,
    tell nothing of a machine and stay. Prompts and what ends an answer (``doc_to_text``, ``system_instruction``,
    ``until``, …) stay as they are.

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
    if name in _PROMPTS:
        return value
    if isinstance(value, Mapping):
        return {_cut(key): _cut(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(inner, name) for inner in value]
    if not isinstance(value, str):
        return value
    if name == _FOLDER:
        return name_of_model(value)
    for pattern in _PATHS:
        value = pattern.sub(lambda found: _last(found, name), value)
    return value


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


def paths_in(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Absolute paths in settings, each with its place, such as ``config.model_args.pretrained``; none in prompts."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            where = f"{place}.{name}" if place else str(name)
            if name == _FOLDER and isinstance(inner, str) and is_called_after_a_path(inner):
                yield where, inner
            elif name not in _PROMPTS:
                yield from paths_in(inner, where)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from paths_in(inner, f"{place}[{number}]")
    elif isinstance(value, str):
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
