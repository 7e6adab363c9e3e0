"""Which of the wanted methods a backend can serve: those named must work, a set shrinks to what does."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Need
from uq_harness.evidence.backend import Backend, first_missing
from uq_harness.methods import Method, all_methods, build_methods, select_methods
from uq_harness.methods.base import read_names

log = logging.getLogger(__name__)
# What `default` means where gradients cannot be had.
SERVED_DEFAULT = ("g_nll", "p_true")


def wanted_methods(
    methods: str | Iterable[str], options: Mapping[str, Any], default: Collection[str] = SERVED_DEFAULT
) -> list[Method]:
    """The wanted methods with their options set, whether or not a backend can serve them.

    Args:
        methods: As for `uq_harness.methods.build_methods`.
        options: Likewise.
        default: The methods that ``default`` means.

    Raises:
        UQHarnessError: A method or option is unknown or not allowed.
    """
    wanted = [part for name in read_names(methods) for part in (default if name == "default" else [name])]
    return build_methods(wanted or methods, options)


def with_default_by_name(methods: str | Iterable[str]) -> list[str]:
    """The names in a ``methods=`` argument, those of the methods of ``default`` in its place: so they must all work.

    Raises:
        UQHarnessError: The argument is neither a text nor a list.
    """
    own = [method.name for method in select_methods("default")]
    return [part for name in read_names(methods) for part in (own if name == "default" else [name])]


@dataclass(frozen=True)
class Chosen:
    """The methods of a run.

    Attributes:
        methods: The methods, with their options set.
        left_out: The others of the wanted sets, with what the backend lacks for each, in words.
        wanted: What was wanted, as the argument ``methods`` names it.
    """

    methods: list[Method]
    left_out: Mapping[str, str]
    wanted: str

    def warn(self) -> None:
        """Says in one line what was left out and why."""
        reasons = dict.fromkeys(self.left_out.values())
        told = [(", ".join(name for name, what in self.left_out.items() if what == why), why) for why in reasons]
        if told:
            log.warning("methods=%s leaves out %s", self.wanted, "; ".join(f"{some} ({why})" for some, why in told))


def choose_methods(
    methods: str | Iterable[str],
    options: Mapping[str, Any],
    backend: Backend,
    default: Collection[str] = SERVED_DEFAULT,
) -> Chosen:
    """The wanted methods that a backend can serve, with their options set.

    A method that was asked for by its own name must be among them. A set (``default``, ``cheap``, ``sampling_free``,
    ``sampling``, ``all``) shrinks to what can be had; options of what was left out are still allowed.

    Args:
        methods: As for `uq_harness.methods.build_methods`.
        options: Likewise.
        backend: The backend.
        default: The methods that ``default`` means.

    Raises:
        UQHarnessError: A method or option is unknown or not allowed, one that was asked for by its own name cannot be
            computed, or nothing is left.
    """
    names = read_names(methods)
    built = wanted_methods(methods, options, default)
    own = {name for name in names if name in all_methods()}
    lacking = {method.name: what for method in built if (what := first_missing(backend, method.needs())) is not None}
    by_name = [method for method in built if method.name in lacking and method.name in own]
    if by_name or len(lacking) == len(built):
        raise unsupported(by_name or built, backend)
    return Chosen([method for method in built if method.name not in lacking], lacking, "+".join(names))


def unsupported(
    methods: Sequence[Method], backend: Backend, needs: Sequence[Need[Any]] | None = None
) -> UQHarnessError:
    """The error about methods that a backend cannot compute, with those that it can.

    Args:
        methods: Some methods.
        backend: The backend.
        needs: What it was asked for, something that it lacks among that; what the methods need if absent.
    """
    if needs is None:
        needs = list(dict.fromkeys(need for method in methods for need in method.needs()))
    what = dict.fromkeys(what for need in needs if (what := backend.missing(need)) is not None)
    names = [method.name for method in methods if first_missing(backend, method.needs()) is not None]
    others = [
        name
        for name, known in all_methods().items()
        if name not in names and first_missing(backend, known().needs()) is None
    ]
    instead = f"without that, the methods {', '.join(others)} work" if others else "no other method works either"
    return UQHarnessError(f"{', '.join(names) or 'an ablation'} cannot be computed: {', and '.join(what)}; {instead}")
