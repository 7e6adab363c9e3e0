"""What the sample log says about one answer, as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from uq_harness.evidence import Evidence


def record(evidence: Evidence, uncertainty: Mapping[str, float]) -> dict[str, Any]:
    """The record of one answer; numbers that are undefined become ``None``, and what a backend lacks is left out.

    Args:
        evidence: What was gathered about it.
        uncertainty: Each method's score, ``nan`` where it is undefined.
    """
    answer = evidence.answer
    return {
        "uncertainty": {name: number(score) for name, score in uncertainty.items()},
        "answer": answer.text,
        "answer_tokens": len(answer.token_ids),
        "complete": answer.complete,
        "token_ids": list(answer.token_ids),
        **{
            name: [number(value) for value in values.tolist()]
            for name, values in (("token_logprobs", answer.logprobs), ("token_entropies", answer.entropies))
            if values is not None
        },
        "cost": dict(evidence.cost),
    }


def number(value: float) -> float | None:
    """The value, or ``None`` where JSON has no number for it."""
    return value if math.isfinite(value) else None
