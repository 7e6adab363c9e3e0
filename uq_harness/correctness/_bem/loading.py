"""What both backends share when a model is loaded: where it lies, and what to say when it does not."""

from __future__ import annotations

import textwrap
from pathlib import Path

from uq_harness.errors import UQHarnessError


def local_folder(model: str) -> str | None:
    """The folder that a model's name means, or None where it is the name of a model on a hub.

    Raises:
        UQHarnessError: The name can only be a path, and no folder is there.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return str(path)
    if path.is_absolute() or model.startswith((".", "~")) or path.is_file():
        raise cannot_load(model, "there is no such folder")
    return None


def why_unreachable(repository: str) -> Exception | None:
    """Why the Hugging Face hub does not give a repository; None if it does.

    One request without the retries of a download, which take minutes where there is no network.
    """
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(repository, timeout=10)
    except Exception as error:  # whatever it is, what lies in the cache must do
        return error
    return None


def not_cached(unreachable: Exception) -> str:
    """The reason why something is missing whose hub cannot be asked."""
    return f"it is not in the cache, and the hub does not give it ({brief(unreachable)})"


def cannot_load(model: str, reason: object) -> UQHarnessError:
    """The error about a model that is not there, with the ways out."""
    return UQHarnessError(
        f"the BEM judge cannot load its model {model!r}: {brief(reason)}. "
        'Give it a local folder with --metadata \'{"correctness": {"name": "bem", "model": "/path"}}\', '
        'or use a judge that needs no model with --metadata \'{"correctness": "token_recall"}\''
    )


def brief(reason: object) -> str:
    """The beginning of a message on one line; the type's name where there is none."""
    text = " ".join(str(reason).split()).rstrip(".")
    return textwrap.shorten(text, 240, placeholder=" ...") or type(reason).__name__
