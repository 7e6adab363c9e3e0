"""Loading `uq-hf` from what a user types, for commands that run no task."""

from __future__ import annotations

import json
from typing import Any

from lm_eval.utils import simple_parse_args_string

from uq_harness.answering.pretrained import DEVICE
from uq_harness.errors import UQHarnessError
from uq_harness.models.hf import UQHFLM


def load_model(model: str, model_args: str | None = None, **fixed: Any) -> UQHFLM:
    """Loads a model as ``lm_eval --model uq-hf --model_args pretrained=MODEL,…`` does.

    Args:
        model: A name on the hub, a folder, or ``demo``.
        model_args: Further model arguments as lm_eval reads them: ``name=value,…`` or a JSON object.
        **fixed: Model arguments that the command itself decides on.

    Raises:
        UQHarnessError: The model cannot be loaded, or an argument is unknown or belongs to the command.
    """
    given = parse_model_args(model_args)
    clash = [name for name in given if name == "pretrained" or name in fixed]
    if clash:
        raise UQHarnessError(f"--model_args sets {clash[0]}, which this command decides on itself: leave it out")
    return UQHFLM(pretrained=model, **{"device": DEVICE, **given, **fixed})


def parse_model_args(model_args: str | None) -> dict[str, Any]:
    """Model arguments as lm_eval reads them.

    Raises:
        UQHarnessError: They are neither pairs nor a JSON object.

    >>> parse_model_args("dtype=float32,trust_remote_code=true")
    {'dtype': 'float32', 'trust_remote_code': True}
    >>> parse_model_args('{"chat_template_args": {"enable_thinking": false}}')
    {'chat_template_args': {'enable_thinking': False}}
    """
    text = (model_args or "").strip()
    if not text.startswith("{"):
        nameless = [part for part in text.split(",") if part and "=" not in part]
        if nameless:
            raise UQHarnessError(f"--model_args holds {nameless[0]!r}: write name=value, joined by commas, or JSON")
        return dict(simple_parse_args_string(text))
    try:
        return dict(json.loads(text))
    except ValueError as error:
        raise UQHarnessError(f"--model_args is not valid JSON ({error}): {text}") from None
