"""What the sample log says about one answer, as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from uq_harness.evidence import Evidence


def record(evidence: Evidence, uncertainty: Mapping[str, float]) -> dict[str, Any]:
    """The record of one answer; numbers that are undefined become ``None``.

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
        "semantic_token": {"position": evidence.semantic_token, "text": evidence.semantic_text},
        "token_ids": list(answer.token_ids),
        "token_logprobs": [number(value) for value in answer.logprobs.tolist()],
        "token_entropies": [number(value) for value in answer.entropies.tolist()],
        "cost": dict(evidence.cost),
    }


def number(value: float) -> float | None:
    """The value, or ``None`` where JSON has no number for it."""
    return value if math.isfinite(value) else None
