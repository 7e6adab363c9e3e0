"""Exact match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from uq_harness.correctness._registry import register_judge
from uq_harness.correctness.judges._lexical import LexicalJudge


@register_judge
@dataclass(frozen=True)
class ExactMatch(LexicalJudge):
    """1 if answer and reference are the same words in the same order, else 0 (Rajpurkar et al. 2016)."""

    name: ClassVar[str] = "exact_match"
    threshold: float = 1.0

    def compare(self, answer: list[str], reference: list[str]) -> float:
        """Equality."""
        return float(answer == reference)
