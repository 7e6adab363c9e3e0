"""The scores of one answer by several methods."""

from __future__ import annotations

import math
from collections.abc import Iterable

from uq_harness.evidence import Evidence
from uq_harness.methods._base import Method


def scores(methods: Iterable[Method], evidence: Evidence) -> dict[str, float]:
    """The uncertainty that each method finds, by its name; ``nan`` where it is undefined.

    A method is undefined where something that it declares to need is: a backend says so, for instance, of samples that
    were drawn while the model gave NaNs, which all look alike and would be called certain.

    >>> import numpy as np
    >>> from uq_harness.evidence import Answer
    >>> from uq_harness.methods import build_methods
    >>> answer = Answer("Paris", (5, 2), np.array([-0.5, -0.25]), np.array([1.0, 0.5]), complete=True)
    >>> scores(build_methods("g_nll", {}), Evidence("Which city?", answer))
    {'g_nll': 0.75}
    """
    return {method.name: method.score(evidence) if evidence.defines(method.needs()) else math.nan for method in methods}
