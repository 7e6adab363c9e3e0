"""Settings without the secrets that people put among them: tokens, keys and passwords, wherever they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "(hidden)"

# A token is a secret by itself or of a service (`hf_token`); `sp_token` and `tokenizer_pad_token` are words of a model.
_NAME = re.compile(
    r"(?:.*[_.-])?(?:hf|hub|api|auth|access|bearer|refresh|session|user|private|read|write)?[_-]?tokens?"
    r"|.*(?:secret|passw|passphrase|credential|authorization|bearer|cookie|key(?!word)).*|pwd",
    re.IGNORECASE,
)
_WORDS_OF_A_MODEL = re.compile(
    r"(?:sp|semantic|think_(?:start|end)|image|audio|prefix|suffix|(?:tokenizer_)?(?:bos|eos|pad|unk|sep|cls|mask|eot)|"
    r"(?:add_)?(?:bos|eos)|max_(?:\w+_)?|min_(?:\w+_)?|num_|n_|answer|trust|stop|special|extra_special)_?tokens?",
    re.IGNORECASE,
)
# How keys of well-known services begin.
_PREFIX = r"(?:hf_|sk-|gsk_|xai-|nvapi-|gh[pousr]_|github_pat_|glpat-|AKIA|AIza)"
_VALUE = re.compile(rf"{_PREFIX}[\w-]+|Bearer\s.*", re.DOTALL)
# Keys are ASCII. Before one no letter of one is, unless it belongs to an escape sign in a text that was quoted.
_BEGIN = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4}))"
# What keys look like, unlike names such as hf_transformers_checkpoint_dir: random letters with digits among them.
_RUN = r"(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{16,}"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_KEYS = (
    r"hf_[A-Za-z0-9]{30,}",
    r"hf_(?:oauth|jwt)_[\w.-]{30,}",
    rf"(?:sk|xai|nvapi|glpat)-(?:[A-Za-z0-9]{{0,15}}[_-]){{0,8}}(?:{_RUN}|{_UUID})",
    r"glpat-[\w-]{20,}",
    rf"(?:gsk_|gh[pousr]_|github_pat_){_RUN}",
    r"AKIA[A-Z0-9]{16}(?![A-Za-z0-9])",
    r"AIza[\w-]{35,}",
)
_WORD = re.compile(rf"{_BEGIN}(?:{'|'.join(_KEYS)})[\w-]*", re.ASCII)
_PAIR = re.compile(
    r"""(?P<start>(?<![\w.-])(?P<name>[A-Za-z_][\w.-]*)(?:=|["']\s*:\s*))(?P<value>"[^"]*"|'[^']*'|[^,&;\s]+)"""
)
_USER_OF_A_URL = re.compile(r"(?<=://)[^/@\s'\"]+@")
# These name a model or its kind, and may begin as a key does: `pretrained=hf_checkpoints`.
_NAMES_OF_MODELS = frozenset(
    {"pretrained", "model", "model_name", "model_name_sanitized", "model_source", "name", "peft", "task", "tokenizer"}
)


def without_secrets(value: Any, name: str = "") -> Any:
    """A copy of settings in which nothing is left that may be a secret.

    Of an object, entries go whose names say so (``token``, whatever holds ``key``, ``secret``, ``password``,
    ``credential``, …) or whose values begin as keys do (``hf_``, ``sk-``, …). In texts, such as model arguments in one
    line, the value is hidden; so is the user in an address.

    Args:
        value: What JSON knows.
        name: What it is called, where it has a name.

    >>> without_secrets({"pretrained": "m", "token": "hf_A", "sp_token": "auto", "judge": {"api_key": "x", "n": 1}})
    {'pretrained': 'm', 'sp_token': 'auto', 'judge': {'n': 1}}
    >>> without_secrets("pretrained=m,token=hf_A,base_url=https://me:pass@host/v1")
    'pretrained=m,token=(hidden),base_url=https://host/v1'
    """
    if isinstance(value, Mapping):
        return {
            key: without_secrets(inner, str(key)) for key, inner in value.items() if not _is_secret(str(key), inner)
        }
    if isinstance(value, list | tuple):
        return [HIDDEN if _is_secret("", inner) else without_secrets(inner) for inner in value]
    if not isinstance(value, str):
        return value
    shown = _USER_OF_A_URL.sub("", _PAIR.sub(_hidden_pair, value))
    return shown if name in _NAMES_OF_MODELS else _WORD.sub(HIDDEN, shown)


def holds_key(text: str) -> bool:
    """Whether a text holds a word that looks like the keys of well-known services.

    >>> holds_key("hf_" + 34 * "A"), holds_key("the sk-learn-contrib-extension package")
    (True, False)
    """
    return _WORD.search(text) is not None


def line_holds_key(line: bytes) -> bool:
    r"""Whether any text in a line of JSON, names of entries included, holds what may be a key (`holds_key`).

    A line that is no JSON is searched as it is.

    >>> line_holds_key(b'{"question": "key:\\nhf_' + 34 * b"A" + b'"}')
    True
    """
    text = line.decode("utf-8", "replace")
    try:
        left = [json.loads(text, object_pairs_hook=list)]  # all entries of an object, also where two have one name
    except (ValueError, RecursionError):
        return holds_key(text)
    while left:
        value = left.pop()
        if isinstance(value, str) and holds_key(value):
            return True
        if isinstance(value, list | tuple):
            left.extend(value)
    return False


def _is_secret(name: str, value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return False
    if _NAME.fullmatch(name) and not _WORDS_OF_A_MODEL.fullmatch(name):
        return True
    return isinstance(value, str) and name not in _NAMES_OF_MODELS and _VALUE.fullmatch(value.strip()) is not None


def _hidden_pair(found: re.Match[str]) -> str:
    return f"{found['start']}{HIDDEN}" if _is_secret(found["name"], found["value"].strip("\"'")) else found[0]
