"""Arguments that come as one bag of names: options of methods, settings of the auxiliary models, and the rest."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from uq_harness.errors import UQHarnessError, one_of
from uq_harness.methods import all_options
from uq_harness.similarity import NLI, Similarity, build_nli, build_similarity

_AUXILIARY = ("model", "batch_size", "device", "dtype", "max_length")


def take_options(arguments: dict[str, Any]) -> dict[str, Any]:
    """Takes the options of methods out of the arguments."""
    return {name: arguments.pop(name) for name in list(arguments) if name in all_options()}


def take_auxiliary_models(arguments: dict[str, Any]) -> tuple[NLI, Similarity]:
    """Takes the settings of the auxiliary models out of the arguments, and makes the services.

    ``nli_model`` and ``similarity_model``, with ``_batch_size``, ``_device``, ``_dtype`` and ``_max_length`` in place
    of ``_model``; see `uq_harness.similarity.build_nli`.

    Raises:
        UQHarnessError: A name or a value is not allowed.
    """
    return build_nli(**_take("nli_", arguments)), build_similarity(**_take("similarity_", arguments))


def unknown_option(name: str, known: Iterable[str]) -> UQHarnessError:
    """The error about an argument that nobody knows.

    Args:
        name: The argument.
        known: What else may be given, beside the options of methods.
    """
    names = [*known, *all_options()]
    close = difflib.get_close_matches(name, [*names, "nli_model", "similarity_model"], n=3)
    hint = f"did you mean {one_of(close)}?" if close else f"known are {', '.join(names)}"
    return UQHarnessError(f"unknown option {name!r}: {hint} (see `uq-harness methods`)")


def _take(prefix: str, arguments: dict[str, Any]) -> dict[str, Any]:
    given = {name: arguments.pop(name) for name in list(arguments) if name.startswith(prefix)}
    for name in given:
        if name.removeprefix(prefix) not in _AUXILIARY:
            raise UQHarnessError(f"unknown option {name!r}: known are {', '.join(prefix + one for one in _AUXILIARY)}")
    return {name.removeprefix(prefix): value for name, value in given.items()}
