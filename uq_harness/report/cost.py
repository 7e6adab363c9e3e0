"""What a run cost, from the records' ``cost`` fields: seconds of the stages that methods need, requests and tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uq_harness.methods import all_methods

# What the records of an engine or an endpoint say beside seconds.
SERVED = ("requests", "prompt_tokens", "completion_tokens", "price")


@dataclass(frozen=True)
class Costs:
    """Costs per question, each a mean over the questions; ``nan`` where the records do not say.

    Attributes:
        answer: Seconds of the greedy answer alone. Where samples were drawn in the same pass, its share of the rows
            that were decoded.
        extra: Seconds that each method adds to that. A stage that several methods share counts in full for each of
            them.
        served: Requests, tokens and price of all methods together, by their names in `SERVED`.
    """

    answer: float
    extra: Mapping[str, float]
    served: Mapping[str, float]


def costs(records: Mapping[str, NDArray[np.float64]], answer_tokens: NDArray[np.float64], methods: list[str]) -> Costs:
    """The costs of a run's methods.

    Args:
        records: Columns of the records' ``cost`` fields, shape ``[questions]`` each, ``nan`` where a record has none.
        answer_tokens: Number of tokens of each answer.
        methods: The methods' names.
    """
    seconds = {
        name.removesuffix("_seconds"): _mean(values) for name, values in records.items() if name.endswith("_seconds")
    }
    decode = seconds.get("decode", float("nan"))
    rows = _mean(records["row_steps"]) if "row_steps" in records else float("nan")
    share = min(1.0, _mean(answer_tokens) / rows) if rows > 0 else 1.0
    drawn = any("samples" in (_stages(name) or ()) for name in methods)
    answer = decode * share if drawn else decode
    stages = {**seconds, "samples": decode - answer}
    extra = {}
    for name in methods:
        needed = _stages(name)
        extra[name] = float("nan") if needed is None else sum((stages.get(s, float("nan")) for s in needed), 0.0)
        if np.isnan(decode):
            extra[name] = float("nan")
    served = {name: _mean(records[name]) if name in records else float("nan") for name in SERVED}
    return Costs(answer, extra, served)


def _stages(method: str) -> frozenset[str] | None:
    """The stages that a method needs beyond the greedy answer; ``None`` for a method that is not installed."""
    known = all_methods().get(method)
    if known is None:
        return None
    needs = known().needs()
    about_samples = {"samples"} if any(need.sample_set is not None for need in needs) else set()
    return frozenset({need.stage for need in needs} - {"answer"} | about_samples)


def _mean(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
