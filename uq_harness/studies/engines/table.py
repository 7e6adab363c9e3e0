"""The table of methods and engines: exact, bounded, in a second pass, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from uq_harness.answering.saved_samples import conditions
from uq_harness.backends.saved.read import SavedSet
from uq_harness.backends.saved.second_pass import lacking
from uq_harness.backends.transformers.second_pass import SecondPass
from uq_harness.evidence import sample_sets
from uq_harness.evidence.backend import first_missing
from uq_harness.methods import Method, all_methods
from uq_harness.studies.engines.known import SAMPLE, KnownEngine, known_engines, reader, saved_answer


class Way(Enum):
    """How a method's score can be had from an engine."""

    EXACT = "exact"
    BOUNDED = "bounded"
    SECOND_PASS = "second pass"
    NONE = "no"


@dataclass(frozen=True)
class Cell:
    """One method with one engine.

    Attributes:
        way: How its score can be had.
        missing: What the engine lacks, in words, with the way out; ``None`` for nothing.
    """

    way: Way
    missing: str | None = None


@dataclass(frozen=True)
class EngineTable:
    """All methods with all engines.

    Attributes:
        engines: The columns.
        methods: The rows.
        cells: By the names of method and engine.
    """

    engines: Sequence[KnownEngine]
    methods: Sequence[str]
    cells: dict[tuple[str, str], Cell]

    def markdown(self) -> str:
        """The table as Markdown."""
        rows = [
            ["method", *(engine.title for engine in self.engines)],
            ["---"] * (1 + len(self.engines)),
            *(
                [f"`{method}`", *(self.cells[method, engine.name].way.value for engine in self.engines)]
                for method in self.methods
            ),
        ]
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def engine_table() -> EngineTable:
    """Asks the backend of every engine about every method with its usual options."""
    transformers = reader()
    engines = known_engines(transformers)
    methods = {name: kind() for name, kind in all_methods().items()}
    cells = {
        (name, engine.name): cell_of(method, engine, transformers)
        for name, method in methods.items()
        for engine in engines
    }
    return EngineTable(engines, tuple(methods), cells)


def cell_of(method: Method, engine: KnownEngine, transformers: SecondPass) -> Cell:
    """How a method's score can be had from an engine.

    Args:
        method: The method, with its options.
        engine: The engine.
        transformers: What reads tokens in a second pass.
    """
    missing = next((what for need in method.needs() if (what := engine.missing(need)) is not None), None)
    if missing is None:
        bounded = any(engine.bounded(need) for need in method.needs())
        return Cell(Way.BOUNDED if bounded else Way.EXACT)
    return Cell(Way.SECOND_PASS if _reads(transformers, method, engine) else Way.NONE, missing)


def _reads(transformers: SecondPass, method: Method, engine: KnownEngine) -> bool:
    """Whether a second pass over what ``save_samples`` keeps of an engine's run gives a method's score."""
    drawn = [one for one in sample_sets(method.needs()) if engine.missing(one) is None]
    saved = saved_answer(*(SavedSet((SAMPLE,), conditions(one)) for one in drawn), tokens=engine.tells_tokens)
    return lacking(saved, method) is None and first_missing(transformers, method.needs()) is None
