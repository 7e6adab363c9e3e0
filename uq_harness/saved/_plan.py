"""Which methods a saved answer suffices for, found before any texts are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uq_harness.evidence.backend import first_missing
from uq_harness.methods import Method
from uq_harness.saved._evidence import SavedBackend
from uq_harness.saved._read import SavedAnswer


@dataclass(frozen=True)
class MethodReport:
    """What has become of one method.

    Attributes:
        name: The method.
        computed: Number of answers that it was computed for.
        kept: Number of answers whose score stood in the file.
        undefined: Number of these scores that are undefined.
        lacking: Number of answers without a score, by what the file lacks for them.
        samples: Smallest and largest number of samples used; ``None`` for a method without samples.
    """

    name: str
    computed: int
    kept: int
    undefined: int
    lacking: Mapping[str, int]
    samples: tuple[int, int] | None

    @property
    def scored(self) -> int:
        """Number of answers with a score."""
        return self.computed + self.kept


@dataclass(frozen=True)
class Plan:
    """What is done about one saved answer.

    Attributes:
        compute: Methods to compute.
        keep: Methods whose score stands in the file.
        lacking: What the file lacks for each of the others.
    """

    compute: tuple[Method, ...]
    keep: tuple[str, ...]
    lacking: Mapping[str, str]


class Planner:
    """Makes plans; saved answers that hold the same kinds of things share one.

    Args:
        methods: The chosen methods.
        anew: Names of methods that are computed although the file has their scores, since their options were given.
        keep_others: Whether the file's scores of other methods are kept.
    """

    def __init__(
        self, methods: Sequence[Method], anew: frozenset[str] = frozenset(), keep_others: bool = False
    ) -> None:
        self._methods, self._anew, self._keep_others = tuple(methods), anew, keep_others
        self._plans: dict[object, Plan] = {}

    def plan(self, saved: SavedAnswer) -> Plan:
        """What can be done about a saved answer."""
        kind = _kind(saved)
        if kind not in self._plans:
            self._plans[kind] = self._made(saved)
        return self._plans[kind]

    def _made(self, saved: SavedAnswer) -> Plan:
        compute: list[Method] = []
        keep: list[str] = []
        lacks: dict[str, str] = {}
        backend = SavedBackend(saved)
        for method in self._methods:
            if method.name in saved.uncertainty and method.name not in self._anew:
                keep.append(method.name)
            elif (what := first_missing(backend, method.needs())) is None:
                compute.append(method)
            else:
                lacks[method.name] = what
        if self._keep_others:
            known = {method.name for method in self._methods}
            keep += [name for name in saved.uncertainty if name not in known]
        return Plan(tuple(compute), tuple(keep), lacks)


def _kind(saved: SavedAnswer) -> object:
    """What a plan depends on: which things are there, not what they are."""
    sets = tuple(
        (
            tuple(sorted(one.conditions.items())),
            bool(one.samples),
            all(sample.logprobs is not None for sample in one.samples),
            all(sample.tokens is not None for sample in one.samples),
        )
        for one in saved.sets
    )
    return saved.logprobs is None, saved.entropies is None, sets, frozenset(saved.uncertainty)
