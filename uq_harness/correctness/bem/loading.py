"""What both backends say when the BEM model is not there."""

from __future__ import annotations

from uq_harness import hub
from uq_harness.errors import UQHarnessError


def local_folder(model: str) -> str | None:
    """The folder that a model's name means, or None where it is the name of a model on a hub.

    Raises:
        UQHarnessError: The name can only be a path, and no folder is there.
    """
    try:
        return hub.local_folder(model)
    except FileNotFoundError as error:
        raise cannot_load(model, error) from error


def cannot_load(model: str, reason: object) -> UQHarnessError:
    """The error about a model that is not there, with the ways out."""
    return UQHarnessError(
        f"the BEM judge cannot load its model {model!r}: {hub.brief(reason)}. "
        'Give it a local folder with --metadata \'{"correctness": {"name": "bem", "model": "/path"}}\', '
        'or use a judge that needs no model with --metadata \'{"correctness": "token_recall"}\''
    )
