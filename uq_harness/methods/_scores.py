"""The scores of one answer by several methods."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from uq_harness.evidence import Evidence, sample_sets
from uq_harness.methods._base import Method


def scores(methods: Iterable[Method], evidence: Evidence) -> dict[str, float]:
    """The uncertainty that each method finds, by its name; ``nan`` where it is undefined.

    A model that gives NaNs has no next token. Answers and samples with such a token all look alike, and a method that
    compares nothing but their texts or states would call them certain: it is undefined, too. So is a method one of
    whose needs could not be met.

    >>> from uq_harness.evidence import Answer
    >>> from uq_harness.methods import build_methods
    >>> answer = Answer("Paris", (5, 2), np.array([-0.5, -0.25]), np.array([1.0, 0.5]), complete=True)
    >>> scores(build_methods("g_nll", {}), Evidence("Which city?", answer))
    {'g_nll': 0.75}
    """
    if np.isnan(evidence.answer.logprobs).any():
        return {method.name: math.nan for method in methods}
    broken = {
        sampler
        for sampler, drawn in evidence.samples.items()
        if any(np.isnan(sample.logprobs).any() for sample in drawn)
    }

    def undefined(method: Method) -> bool:
        needs = method.needs()
        return not broken.isdisjoint(sample_sets(needs)) or not evidence.missing.isdisjoint(needs)

    return {method.name: math.nan if undefined(method) else method.score(evidence) for method in methods}
