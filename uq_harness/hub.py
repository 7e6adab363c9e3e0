"""Where a model named by the user lies, and what to say when it cannot be had."""

from __future__ import annotations

import textwrap

from uq_harness.files import user_path


def local_folder(model: str) -> str | None:
    """The folder that a model's name means, or None where it is the name of a model on a hub.

    Raises:
        FileNotFoundError: The name can only be a path, and no folder is there.
        UQHarnessError: It is no path that there can be.
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
    except Exception as error:  # whatever it is, what lies in the cache must do
        return error
    return None


def not_cached(unreachable: Exception) -> str:
    """The reason why something is missing whose hub cannot be asked."""
    return f"it is not in the cache, and the hub does not give it ({brief(unreachable)})"


def brief(reason: object) -> str:
    """The beginning of a message on one line; the type's name where there is none."""
    text = " ".join(str(reason).split()).rstrip(".")
    return textwrap.shorten(text, 240, placeholder=" ...") or type(reason).__name__
