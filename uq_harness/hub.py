"""From a model's name to a loaded network: from a folder or a hub, onto a device, and what to say when that fails."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable
from typing import Any, TypeVar

from uq_harness.errors import UQHarnessError
from uq_harness.files import user_path

T = TypeVar("T")
# Makes the error about a model that cannot be used, with the ways out, from the reason.
CannotLoad = Callable[[object], UQHarnessError]


def local_folder(model: str) -> str | None:
    """The folder that a model's name means, or None where it is the name of a model on a hub.

    Raises:
        FileNotFoundError: The name can only be a path, and no folder is there.
        UQHarnessError: It is not a possible path.
    """
    path = user_path(model, "model")
    if path.is_dir():
        return str(path)
    if path.is_absolute() or model.startswith((".", "~")) or path.is_file():
        raise FileNotFoundError("there is no such folder")
    return None


def why_unreachable(repository: str) -> Exception | None:
    """Why the Hugging Face hub does not give a repository; None if it does.

    One request without the retries of a download, which take minutes where there is no network.
    """
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(repository, timeout=10)
    except Exception as error:  # whatever it is, what is in the cache must do
        return error
    return None


def not_cached(unreachable: Exception) -> str:
    """The reason why something is missing whose hub cannot be asked."""
    return f"it is not in the cache, and the hub does not give it ({brief(unreachable)})"


def brief(reason: object) -> str:
    """The beginning of a message on one line; the type's name where there is none."""
    text = " ".join(str(reason).split()).rstrip(".")
    return textwrap.shorten(text, 240, placeholder=" ...") or type(reason).__name__


def fetch(model: str, load: Callable[[str, bool], T], cannot_load: CannotLoad) -> T:
    """Loads from a folder, the Hugging Face hub, or its cache where the hub cannot be asked.

    Args:
        model: Name on the hub, or a folder.
        load: Takes the folder or name, and whether only the cache may be used.
        cannot_load: Makes the error.

    Raises:
        UQHarnessError: The model is not there, or broken.
    """
    try:
        folder = local_folder(model)
    except FileNotFoundError as error:
        raise cannot_load(error) from error
    unreachable = None if folder else why_unreachable(model)
    try:
        return load(folder or model, unreachable is not None)
    except Exception as error:  # broken and missing files raise all sorts of errors, and the ways out are the same
        raise cannot_load(error if unreachable is None else not_cached(unreachable)) from error


def fetch_classifier(model: str, dtype: str, cannot_load: CannotLoad) -> tuple[Any, Any]:
    """A sequence classifier of transformers, all of whose weights are trained, and its tokenizer.

    Args:
        model: Name on the hub, or a folder.
        dtype: The weights' type: ``float32``, ``bfloat16`` or ``float16``.
        cannot_load: Makes the error.

    Raises:
        UQHarnessError: The model is not there, broken, or has weights that were never trained.
    """
    network, tokenizer, missing = fetch(model, functools.partial(_read_classifier, dtype=dtype), cannot_load)
    if missing:
        raise cannot_load(f"it has no trained weights for {', '.join(sorted(missing)[:3])}")
    return network, tokenizer


def _read_classifier(source: str, only_cached: bool, dtype: str) -> tuple[Any, Any, list[str]]:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=only_cached)
    network, report = AutoModelForSequenceClassification.from_pretrained(
        source, local_files_only=only_cached, dtype=getattr(torch, dtype), output_loading_info=True
    )
    return network, tokenizer, report["missing_keys"]


def check_vocabulary(tokenizer: Any, config: Any, cannot_load: CannotLoad) -> None:
    """Raises if the tokenizer has tokens that the model does not know."""
    if len(tokenizer) > config.vocab_size:
        raise cannot_load(f"its tokenizer has {len(tokenizer)} tokens, the model {config.vocab_size}")


def to_device(network: Any, device: str | None, user: str, option: str) -> Any:
    """Moves a network to its device, and gives the device.

    Args:
        network: The network.
        device: A torch device; ``None`` means the GPU if there is one.
        user: What the network belongs to, for the message.
        option: What the user sets the device with, for the message.

    Raises:
        UQHarnessError: The device cannot be used.
    """
    import torch

    name = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(name)
        network.to(place)
    except (RuntimeError, AssertionError) as error:  # no such device, no CUDA in this torch, or no memory left
        raise UQHarnessError(
            f'{user} cannot use {option}={name!r}: {brief(error)}. Use "cpu", "cuda" or "cuda:1", or leave it out for '
            "the GPU where there is one"
        ) from error
    return place
