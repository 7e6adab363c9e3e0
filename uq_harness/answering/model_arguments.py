"""The arguments that load a model, which are those of lm_eval's ``hf``: checked before, and explained if it fails."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pickle import UnpicklingError
from typing import Any

import torch
from huggingface_hub.errors import HFValidationError
from lm_eval.models.huggingface import HFLM
from safetensors import SafetensorError

from uq_harness.answering.options import check_template_arguments, unknown_option
from uq_harness.errors import UQHarnessError, close_names, one_of
from uq_harness.files import user_path
from uq_harness.hub import brief
from uq_harness.methods import all_options
from uq_harness.methods.arguments import read_choice, read_flag, read_whole

_TYPES = ("bfloat16", "float16", "float32", "float64")
_QUANTISATION = ("load_in_8bit", "load_in_4bit", "quantization_config")
_OWN = ("methods", "sp_token", "seed", "batch_invariant", "save_samples")
# Far beyond any context or batch; a larger number is a mistake.
_LARGEST = 2**31 - 1


def read_model_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with those of lm_eval's ``hf`` read, so that none of them ends in a traceback.

    Raises:
        UQHarnessError: A value is not allowed.
    """
    return {name: _READERS[name](name, value) if name in _READERS else value for name, value in arguments.items()}


def read_pretrained(pretrained: Any) -> Any:
    """The model: a name on the hub, a folder, or a loaded model.

    Raises:
        UQHarnessError: It is none of these.
    """
    loaded = isinstance(pretrained, torch.nn.Module)
    if not loaded and not (isinstance(pretrained, str) and pretrained.strip()):
        raise UQHarnessError(f"pretrained={pretrained!r} is not allowed: use a name on the hub, a folder, or demo")
    if loaded:
        return pretrained
    path = user_path(pretrained, "pretrained")
    return str(path) if pretrained.startswith("~") else pretrained


@contextmanager
def explained(pretrained: Any, arguments: Mapping[str, Any], own: Sequence[str] = _OWN) -> Iterator[None]:
    """Makes one sentence of whatever keeps lm_eval and transformers from loading a model.

    Args:
        pretrained: The model.
        arguments: What else was given.
        own: Names of further arguments that the caller takes, for a hint.

    Raises:
        UQHarnessError: It could not be loaded. Want of memory and errors of a device go through as they are.
    """
    try:
        yield
    except UQHarnessError:
        raise
    except (OSError, HFValidationError, SafetensorError, UnpicklingError) as error:  # not there, or damaged
        raise UQHarnessError(f"{_named(pretrained, arguments)} could not be loaded: {brief(error)}") from error
    except TypeError as error:
        raise _refused(error, pretrained, arguments, own) from error
    except (AssertionError, AttributeError, ImportError, LookupError, NotImplementedError, ValueError) as error:
        raise _not_loaded(error, pretrained, arguments) from error


def _named(pretrained: Any, arguments: Mapping[str, Any]) -> str:
    """The model with the adapter or tokenizer that may be meant by an error."""
    further = [
        f"{name}={arguments[name]!r}" for name in ("peft", "delta", "tokenizer", "gguf_file") if arguments.get(name)
    ]
    name = repr(pretrained) if isinstance(pretrained, str) else type(pretrained).__name__
    return f"model {name}{' with ' * bool(further)}{', '.join(further)}"


def _not_loaded(error: Exception, pretrained: Any, arguments: Mapping[str, Any]) -> UQHarnessError:
    return UQHarnessError(
        f"{_named(pretrained, arguments)} could not be loaded ({type(error).__name__}: {brief(error)}): check the "
        f"arguments {', '.join(arguments)}"
    )


def _refused(error: TypeError, pretrained: Any, arguments: Mapping[str, Any], own: Sequence[str]) -> UQHarnessError:
    """What to say about an argument that the model's class does not take, or takes in another type."""
    unknown = next((name for name in arguments if f"'{name}'" in str(error)), None)
    if unknown is None:
        return _not_loaded(error, pretrained, arguments)
    if unknown.startswith(("bnb_", *_QUANTISATION)):
        return UQHarnessError(
            f"{unknown}={arguments[unknown]!r} was refused by the model's class ({brief(error)}): this version of "
            "transformers quantises by the model's configuration, so save the model quantised and give that folder, or "
            "leave the argument out"
        )
    known = list(dict.fromkeys([*own, *inspect.signature(HFLM.__init__).parameters]))
    if close_names(unknown, [*known, *all_options()]):
        return unknown_option(unknown, known)
    return UQHarnessError(
        f"unknown option {unknown!r}: neither uq-harness nor lm_eval's hf has it, and the model's class refuses it "
        f"({brief(error)}); see `uq-harness methods`"
    )


# ------------------------------------------------------------------ readers


def _optional(read: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else read(name, value)


def _limited(at_least: int) -> Callable[[str, Any], Any]:
    return _optional(partial(read_whole, at_least=at_least, at_most=_LARGEST))


def _dtype(name: str, value: Any) -> Any:
    """A floating point type; lm_eval's ``dtype=auto`` is the checkpoint's own."""
    if isinstance(value, torch.dtype):
        known = value.is_floating_point
    else:
        known = isinstance(value, str) and value in (*_TYPES, *(("auto",) if name == "dtype" else ()))
    if not known:
        raise UQHarnessError(
            f"{name}={value!r} is not allowed: use {one_of([*(['auto'] if name == 'dtype' else []), *_TYPES])}"
        )
    return value


def _batch_size(name: str, value: Any) -> Any:
    """A number, ``auto``, or ``auto:N``."""
    automatic, _, times = str(value).partition(":")
    if automatic == "auto" and (not times or times.replace(".", "", 1).isdecimal()):
        return value
    try:
        return read_whole(name, value, 1, _LARGEST)
    except UQHarnessError:
        raise UQHarnessError(f"{name}={value!r} is not allowed: use a number from 1 on, or auto") from None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise UQHarnessError(f"{name}={value!r} is not allowed: use a name or a folder")
    return value


def _template_arguments(_: str, value: Any) -> dict[str, Any]:
    check_template_arguments(value)
    return dict(value)


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "backend": partial(read_choice, names=["default", "causal"]),
    "batch_size": _optional(_batch_size),
    "chat_template_args": _optional(_template_arguments),
    "delta": _optional(_text),
    "dtype": _optional(_dtype),
    "max_batch_size": _limited(1),
    "max_length": _limited(1),
    "mixed_precision_dtype": _optional(_dtype),
    "peft": _optional(_text),
    "prefix_token_id": _limited(0),
    "softmax_dtype": _optional(_dtype),
    **dict.fromkeys(
        (
            "add_bos_token",
            "enable_thinking",
            "gptqmodel",
            "logits_cache",
            "parallelize",
            "truncation",
            "trust_remote_code",
            "use_fast_tokenizer",
        ),
        _optional(read_flag),
    ),
}
