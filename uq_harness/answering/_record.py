"""What the sample log says about one answer, as plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from uq_harness.evidence import Evidence
from uq_harness.functional import FloatArray


def record(evidence: Evidence, uncertainty: Mapping[str, float]) -> dict[str, Any]:
    """The record of one answer; numbers that are undefined become ``None``, and what a backend lacks is left out.

    Args:
        evidence: What was gathered about it.
        uncertainty: Each method's score, ``nan`` where it is undefined.
    """
    answer = evidence.answer
    known = {
        "answer_tokens": answer.n_tokens,
        "complete": answer.complete,
        "semantic_token": None
        if evidence.semantic_text is None
        else {"position": evidence.semantic_token, "text": evidence.semantic_text},
        "token_ids": None if answer.token_ids is None else list(answer.token_ids),
        "token_logprobs": _numbers(answer.logprobs),
        "token_entropies": _numbers(answer.entropies),
    }
    return {
        "uncertainty": {name: number(score) for name, score in uncertainty.items()},
        "answer": answer.text,
        **{name: value for name, value in known.items() if value is not None},
        "cost": dict(evidence.cost),
    }


def number(value: float) -> float | None:
    """The value, or ``None`` where JSON has no number for it."""
    return value if math.isfinite(value) else None


def _numbers(values: FloatArray | None) -> list[float | None] | None:
    return None if values is None else [number(value) for value in values.tolist()]
