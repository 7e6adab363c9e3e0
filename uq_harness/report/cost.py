"""What a run cost, from the records' ``cost`` fields: seconds of the answer and of methods, requests and tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Need
from uq_harness.evidence.cost import ALONE, ANSWER, name_of, with_sets
from uq_harness.methods import Method, all_methods
from uq_harness.methods.options import read_option

# What the records of an engine or an endpoint say beside seconds.
SERVED = ("requests", "prompt_tokens", "completion_tokens", "price")
# What methods read, the cheapest first.
FAMILIES = ("the answer alone", "gradients", "further passes", "sampled answers")
_NAN = float("nan")


@dataclass(frozen=True)
class Costs:
    """Costs per question, each a mean over the questions; ``nan`` where the records do not say.

    Attributes:
        answer: Seconds of the greedy answer alone.
        extra: Seconds that each method adds to that if no other is chosen: of all that it reads, whether other methods
            read it too or not.
        families: Of each method which of `FAMILIES` it belongs to, by the dearest that it reads.
        served: Requests, tokens and price of all methods together, by their names in `SERVED`.
    """

    answer: float
    extra: Mapping[str, float]
    families: Mapping[str, str]
    served: Mapping[str, float]


def costs(
    records: Mapping[str, NDArray[np.float64]],
    answer_tokens: NDArray[np.float64],
    methods: Iterable[str],
    options: Mapping[str, Any] | None = None,
) -> Costs:
    """The costs of a run's methods.

    Records say what each need cost. In those of earlier versions only stages have seconds: a stage counts in full for
    each method that needs it, and the answer's part of decoding is its share of the rows.

    Args:
        records: Columns of the records' ``cost`` fields, shape ``[questions]`` each, ``nan`` where a record has none.
        answer_tokens: Number of tokens of each answer.
        methods: The methods' names.
        options: The options of methods with which the run was made; their defaults where it does not say.
    """
    needs = {name: _needs(name, options or {}) for name in methods}
    spent = {name: _mean(values) for name, values in records.items()}
    stages = {name.removesuffix("_seconds"): took for name, took in spent.items() if name.endswith("_seconds")}
    drawn = any(need.sample_set is not None for some in needs.values() for need in some or ())
    decoding = spent.get("decode_seconds", _NAN)
    answer = spent.get(ANSWER, _answer_by_rows(spent, _mean(answer_tokens)) if drawn else decoding)
    stages["samples"] = decoding - answer

    def price(some: frozenset[Need[Any]] | None) -> float:
        if some is None or np.isnan(decoding):
            return _NAN
        return _by_need(some, spent, stages) if ANSWER in spent else _by_stage(some, stages)

    extra = {name: price(some) for name, some in needs.items()}
    families = {name: _family(some or frozenset()) for name, some in needs.items()}
    return Costs(answer, extra, families, {name: spent.get(name, _NAN) for name in SERVED})


def _family(needs: frozenset[Need[Any]]) -> str:
    stages = {need.stage for need in needs}
    if "samples" in stages:
        return "sampled answers"
    if "gradients" in stages:
        return "gradients"
    return "the answer alone" if stages <= {"answer"} else "further passes"


def _by_need(needs: frozenset[Need[Any]], spent: Mapping[str, float], stages: Mapping[str, float]) -> float:
    """Seconds of what some needs read; within a stage never more than it took, for they may share some of it."""
    total = 0.0
    for stage in sorted({need.stage for need in needs} - {"answer"}):
        mine = [need for need in needs if need.stage == stage and (stage != "samples" or need.sample_set == need)]
        read = [spent.get(ALONE + name_of(need), _NAN) for need in mine]
        total += float(np.minimum(sum(read), stages.get(stage, _NAN)))
    return total


def _by_stage(needs: frozenset[Need[Any]], stages: Mapping[str, float]) -> float:
    return sum((stages.get(stage, _NAN) for stage in sorted({need.stage for need in needs} - {"answer"})), 0.0)


def _answer_by_rows(spent: Mapping[str, float], answer_tokens: float) -> float:
    rows = spent.get("row_steps", _NAN)
    return spent.get("decode_seconds", _NAN) * (min(1.0, answer_tokens / rows) if rows > 0 else 1.0)


def _needs(method: str, options: Mapping[str, Any]) -> frozenset[Need[Any]] | None:
    """What a method reads; ``None`` for one that is not installed, or does not take these options."""
    known = all_methods().get(method)
    if known is None:
        return None
    built = _built(known, options)
    return None if built is None else with_sets(built.needs())


def _built(method: type[Method], options: Mapping[str, Any]) -> Method | None:
    given = {field.name: field for field in method.options() if field.name in options}
    try:
        return method(**{name: read_option(field, options[name]) for name, field in given.items()})
    except UQHarnessError:  # another version's options
        return None


def _mean(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else _NAN
