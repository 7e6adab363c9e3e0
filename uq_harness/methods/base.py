"""What a method is, and the registry that finds them all."""

from __future__ import annotations

import dataclasses
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from uq_harness.errors import UQHarnessError, did_you_mean, one_of
from uq_harness.evidence import AnswerLogProbs, Evidence, Need, sample_sets
from uq_harness.functional import FloatArray
from uq_harness.methods import sets
from uq_harness.methods.options import read_option
from uq_harness.registry import Registry

log = logging.getLogger(__name__)
ENTRY_POINT_GROUP = "uq_harness.methods"


class Method(ABC):
    """An uncertainty score of a greedy answer; higher means less certain.

    A subclass is a frozen dataclass whose fields are the method's options. It says what it needs, and turns the
    gathered evidence into a number; it never calls a model.

    Attributes:
        name: The name in ``methods=``, in results (``auroc_<name>``) and in records.
        title: The name in tables.
        source: Where the method comes from.
        cost: What it takes beyond the greedy answer, in a few words.
        sets: The sets in ``methods=`` that include it (`uq_harness.methods.sets`). A method joins none unless it says
            so: those of other packages are chosen by name.
        sampling: Whether it needs sampled answers.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    cost: ClassVar[str] = "nothing"
    sets: ClassVar[frozenset[str]] = frozenset()
    sampling: ClassVar[bool] = False

    @abstractmethod
    def needs(self) -> tuple[Need[Any], ...]:
        """All that `score` reads, log-probabilities and entropies of the answer and of samples included."""

    @abstractmethod
    def score(self, evidence: Evidence) -> float:
        """The uncertainty; ``nan`` where it is undefined."""

    def token_values(self, evidence: Evidence) -> Mapping[str, FloatArray]:
        """Values of the answer's tokens by name that belong in the record beside log-probabilities and entropies.

        Each has one entry a token, higher meaning less certain; none unless a method has some to tell.
        """
        return {}

    @classmethod
    def options(cls) -> tuple[dataclasses.Field[Any], ...]:
        """The method's options, in the order of declaration."""
        return dataclasses.fields(cls)  # type: ignore[arg-type]  # every registered method is a dataclass


M = TypeVar("M", bound=type[Method])
_registry = Registry("method", __package__, Method, ENTRY_POINT_GROUP)  # type: ignore[type-abstract]  # it is not built


def register_method(cls: M) -> M:
    """Class decorator that makes a method known under its name.

    A method of another package joins the sets that its own ``sets`` names, and not those that a base class is in.

    Raises:
        UQHarnessError: Another class has the name already, the class is not a dataclass, or it joins a set that does
            not exist.
    """
    if not _is_ours(cls):
        if "sets" not in vars(cls):
            cls.sets = frozenset()
        if getattr(cls, "default", None) is True:
            log.warning(
                "method %s (%s) says default = True, which does nothing: to be part of methods=default, whenever the "
                'package is installed, write sets: ClassVar[frozenset[str]] = frozenset({"default", "all"})',
                *(cls.name, cls.__module__),
            )
    unknown = sorted(set(cls.sets) - set(sets.NAMES))
    if unknown:
        raise UQHarnessError(f"method {cls.name} joins the set {unknown[0]!r}: the sets are {', '.join(sets.NAMES)}")
    _registry.register(cls)
    return cls


def _is_ours(cls: type[Method]) -> bool:
    return cls.__module__.partition(".")[0] == "uq_harness"


def all_methods() -> dict[str, type[Method]]:
    """Every known method by name, sampling-free ones first, then alphabetically."""
    return dict(sorted(_registry.all().items(), key=lambda item: (item[1].sampling, item[0])))


def select_methods(methods: str | Iterable[str]) -> list[type[Method]]:
    """The methods that a ``methods=`` argument means.

    Args:
        methods: Names joined by ``+``, or a list of names. A name may also be one of the sets ``default`` (G-NLL and
            the gradients), ``cheap`` (what comes with the greedy answer, without a further pass), ``sampling_free``,
            ``sampling`` and ``all``.

    Raises:
        UQHarnessError: A name is unknown, or nothing is left.
    """
    known, names = all_methods(), read_names(methods)
    chosen: dict[str, type[Method]] = {}
    for name in names:
        if name in sets.NAMES:
            chosen |= {key: cls for key, cls in known.items() if name in cls.sets}
        elif name in known:
            chosen[name] = known[name]
        else:
            raise UQHarnessError(_unknown("method", name, [*known, *sets.NAMES]))
    if not chosen:
        raise UQHarnessError(f"methods={methods!r} chooses no method: use {one_of([*known, *sets.NAMES])}")
    return [known[name] for name in known if name in chosen]


def read_names(methods: str | Iterable[str]) -> list[str]:
    """The names in a ``methods=`` argument, of methods and of sets, as they were given.

    Raises:
        UQHarnessError: It is neither a text nor a list.

    >>> read_names("g_nll+sampling")
    ['g_nll', 'sampling']
    """
    if not isinstance(methods, Iterable) or isinstance(methods, bytes):
        raise UQHarnessError(
            f"methods={methods!r} is not allowed: use {one_of([*all_methods(), *sets.NAMES])}, joined by +"
        )
    parts = methods.strip("[] ").replace(",", "+").split("+") if isinstance(methods, str) else list(methods)
    return [name for part in parts if (name := str(part).strip().strip("'\""))]


def all_options() -> dict[str, dataclasses.Field[Any]]:
    """Every option of every method by name; methods that share a name share the option."""
    return {field.name: field for cls in all_methods().values() for field in cls.options()}


def build_methods(methods: str | Iterable[str], options: Mapping[str, Any]) -> list[Method]:
    """The chosen methods with their options set.

    Args:
        methods: See `select_methods`.
        options: What the user gave, by option name. Every option must belong to a chosen method.

    Raises:
        UQHarnessError: An unknown method or option, a value that is not allowed, or an option of a method that was
            not chosen, which would do nothing.
    """
    chosen = select_methods(methods)
    known = all_options()
    for name in options:
        if name not in known:
            raise UQHarnessError(_unknown("option", name, list(known)))
        if not any(name == field.name for cls in chosen for field in cls.options()):
            users = [cls.name for cls in all_methods().values() if any(name == f.name for f in cls.options())]
            raise UQHarnessError(
                f"{name} would do nothing: it is an option of {one_of(users)}, and methods= chooses "
                f"{', '.join(cls.name for cls in chosen)}"
            )
    values = {name: read_option(known[name], value) for name, value in options.items()}
    return [cls(**{f.name: values[f.name] for f in cls.options() if f.name in values}) for cls in chosen]


def draws(methods: Iterable[Method]) -> bool:
    """Whether some methods, with their options as they are, need sampled answers."""
    return bool(sample_sets(need for method in methods for need in method.needs()))


def settings(methods: Iterable[Method]) -> dict[str, Any]:
    """Every option of the given methods with its value in force, for the results' configuration."""
    return {
        field.name: getattr(value := getattr(method, field.name), "name", value)
        for method in methods
        for field in method.options()
    }


def _unknown(kind: str, name: str, known: list[str]) -> str:
    hint = did_you_mean(name, known, f"known are {', '.join(known)}")
    return f"unknown {kind} {name!r}: {hint} (see `uq-harness methods`)"


def scores(methods: Iterable[Method], evidence: Evidence) -> dict[str, float]:
    """The uncertainty that each method finds, by its name; ``nan`` where it is undefined.

    A method is undefined where something that it declares to need is: a backend says so, for instance, of samples that
    were drawn while the model gave NaNs, which all look alike and would be called certain. A method that declares
    nothing reads the answer, and is undefined where its log-probabilities are.

    Raises:
        UQHarnessError: A method reads something that it does not declare and the backend does not have.

    >>> import numpy as np
    >>> from uq_harness.evidence import Answer
    >>> from uq_harness.methods import build_methods
    >>> answer = Answer("Paris", (5, 2), np.array([-0.5, -0.25]), np.array([1.0, 0.5]), complete=True)
    >>> scores(build_methods("g_nll", {}), Evidence("Which city?", answer))
    {'g_nll': 0.75}
    """
    return {method.name: _score(method, evidence) for method in methods}


def _score(method: Method, evidence: Evidence) -> float:
    needs = method.needs()
    if not evidence.defines(needs or [AnswerLogProbs()]):
        return math.nan
    try:
        return float(method.score(evidence))
    except (AttributeError, KeyError, TypeError) as error:
        if isinstance(error, KeyError) or evidence.answer.logprobs is None:
            raise UQHarnessError(
                f"{method.name} reads something that its needs() does not declare, and that is not there: {error}"
            ) from error
        raise


def token_values(methods: Iterable[Method], evidence: Evidence) -> dict[str, FloatArray]:
    """The values that methods tell of the answer's tokens; where a declared need of a method is undefined, none of it.

    Raises:
        UQHarnessError: A method's values are not one a token.
    """
    found: dict[str, FloatArray] = {}
    for method in methods:
        if type(method).token_values is Method.token_values or not evidence.defines(method.needs()):
            continue
        for name, values in method.token_values(evidence).items():
            if values.shape != (evidence.answer.n_tokens,):
                raise UQHarnessError(
                    f"method {method.name} tells {name} of tokens in shape {values.shape}, but the answer has "
                    f"{evidence.answer.n_tokens} tokens"
                )
            found[name] = values
    return found
