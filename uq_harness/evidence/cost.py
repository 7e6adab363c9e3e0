"""What an answer and its evidence cost: seconds by stage and by need, and counts of the work, for a sample's record."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache, partial
from hashlib import blake2b
from types import MethodType
from typing import Any, TypeVar

from uq_harness.evidence.needs import Need

N = TypeVar("N", bound=Need[Any])
K = TypeVar("K")
# Work about one question (seconds, pairs of texts), by all the needs that read its result.
ByReaders = Mapping[frozenset[Need[Any]], float]
_DIGITS = 3
ALONE = "alone/"
ANSWER = "answer_seconds"


class Stage:
    """A stage that is under way: how its time is divided among a batch's examples, and among needs."""

    def __init__(self) -> None:
        self.weights: list[float] = []
        self.parts: list[Mapping[frozenset[Need[Any]], float]] = []
        self._each: dict[frozenset[Need[Any]], float] = {}

    def divide(self, weights: Iterable[float]) -> None:
        """Takes each example's part of the work, in any unit; without it, all have equal parts."""
        self.weights.extend(weights)

    def among(self, parts: Iterable[Mapping[frozenset[Need[Any]], float]]) -> None:
        """Takes for each example the parts of its work, in any unit, by all the needs that read them."""
        self.parts.extend(parts)

    def each(self, needs: Iterable[N]) -> Iterator[N]:
        """The needs, whose own parts are the time until the next one is asked for."""
        for need in needs:
            start = time.perf_counter()
            yield need
            self._each[frozenset([need])] = time.perf_counter() - start

    def parts_of(self, example: int) -> Mapping[frozenset[Need[Any]], float]:
        """What an example's time is divided by; empty where nothing was said."""
        return self.parts[example] if self.parts else self._each


class Stopwatch:
    """Takes the seconds of the stages of one batch, and divides them among its examples.

    Args:
        examples: Number of examples in the batch.

    Attributes:
        shares: For each example its seconds by stage so far (``decode_seconds``, …); together they are the batch's.
        seconds: For each example the same seconds by the needs that read what was done, as far as that was said.
    """

    def __init__(self, examples: int) -> None:
        self.shares: list[dict[str, float]] = [{} for _ in range(examples)]
        self.seconds: list[dict[frozenset[Need[Any]], float]] = [{} for _ in range(examples)]

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Adds the time spent inside to a stage.

        Every stage ends by reading numbers back from the device, so nothing of it is still under way then.

        Yields:
            What to tell how the time is divided.

        >>> watch = Stopwatch(2)
        >>> with watch.stage("decode") as stage:
        ...     stage.divide([1, 3])
        >>> one, other = watch.shares
        >>> round(other["decode_seconds"] / one["decode_seconds"], 6)
        3.0
        """
        stage = Stage()
        start = time.perf_counter()
        yield stage
        spent = time.perf_counter() - start
        weights = stage.weights if sum(stage.weights) else [1.0] * len(self.shares)
        for row, (share, weight) in enumerate(zip(self.shares, weights, strict=True)):
            own = spent * weight / sum(weights)
            share[f"{name}_seconds"] = share.get(f"{name}_seconds", 0.0) + own
            parts = stage.parts_of(row)
            whole = sum(parts.values())
            for needs, part in parts.items():
                before = self.seconds[row].get(needs, 0.0)
                self.seconds[row][needs] = before + (own * part / whole if whole else 0.0)


def parts_by_readers(read: Mapping[K, Iterable[Any]], work: Mapping[Any, float]) -> dict[frozenset[K], float]:
    """The parts of some work, by all that read them.

    Args:
        read: The pieces of work that each need reads.
        work: How large each piece is; pieces that are not there are no work.

    Returns:
        The parts; needs that no work was done for have an empty one.

    >>> found = parts_by_readers({"a": [1, 2], "b": [2, 3]}, {1: 10.0, 2: 5.0})
    >>> found == {frozenset("a"): 10.0, frozenset("ab"): 5.0, frozenset("b"): 0.0}
    True
    """
    readers: dict[Any, set[K]] = {piece: set() for piece in work}
    for need, pieces in read.items():
        for piece in pieces:
            if piece in readers:
                readers[piece].add(need)
    parts = {frozenset([need]): 0.0 for need in read}
    for piece, some in readers.items():
        parts[frozenset(some)] = parts.get(frozenset(some), 0.0) + work[piece]
    return parts


def alone(seconds: ByReaders, needs: Iterable[Need[Any]]) -> float:
    """Seconds of all that some needs read: what they cost if nothing else is needed."""
    wanted = with_sets(needs)
    return sum((spent for readers, spent in seconds.items() if readers & wanted), 0.0)


def beside(seconds: ByReaders, needs: Iterable[Need[Any]], others: Iterable[Need[Any]]) -> float:
    """Seconds of what some needs read and others do not: what is saved if they are left out.

    >>> from uq_harness.evidence import HeadGradient
    >>> exgrad, paragrad = HeadGradient(False), HeadGradient(True)
    >>> seconds = {frozenset([exgrad]): 1.0, frozenset([paragrad]): 2.0, frozenset([exgrad, paragrad]): 4.0}
    >>> alone(seconds, [exgrad]), beside(seconds, [exgrad], [paragrad]), beside(seconds, [exgrad], [])
    (5.0, 1.0, 5.0)
    """
    wanted, kept = with_sets(needs), with_sets(others)
    return sum((spent for readers, spent in seconds.items() if readers & wanted and not readers & kept), 0.0)


def with_sets(needs: Iterable[Need[Any]]) -> frozenset[Need[Any]]:
    """Needs, and the sample sets that they are about."""
    needs = tuple(needs)
    return frozenset(needs) | {need.sample_set for need in needs if need.sample_set is not None}


def by_need(seconds: ByReaders) -> dict[str, float]:
    """The seconds of all that each need reads, for a record; what several needs read counts for each of them."""
    needs = dict.fromkeys(need for readers in seconds for need in readers)
    each = {need: sum(spent for readers, spent in seconds.items() if need in readers) for need in needs}
    return {ALONE + name_of(need): float(f"{spent:.{_DIGITS}g}") for need, spent in each.items()}


@cache
def name_of(need: Need[Any]) -> str:
    """A need's name in records: its kind, and a few digits that tell apart needs of one kind.

    >>> from uq_harness.evidence import PairwiseEntailment, Samples
    >>> name_of(PairwiseEntailment(Samples(10, 1.0)))
    'PairwiseEntailment-795a3c'
    """
    digest = blake2b(_text(need).encode(), digest_size=3).hexdigest()
    return f"{type(need).__name__}-{digest}"


def _text(value: Any) -> str:
    """A value as a text that is the same in every process."""
    if is_dataclass(value) and not isinstance(value, type):
        inner = ",".join(_text(getattr(value, field.name)) for field in fields(value))
        return f"{type(value).__name__}({inner})"
    if isinstance(value, tuple):
        return f"({','.join(map(_text, value))})"
    if isinstance(value, partial):
        return f"partial({_text(value.func)},{_text(value.args)},{_text(tuple(sorted(value.keywords.items())))})"
    if isinstance(value, MethodType) and is_dataclass(value.__self__):
        return f"{_text(value.__self__)}.{value.__name__}"
    if callable(value):
        return f"{value.__module__}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    return repr(value)
