"""Token F1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from uq_harness.correctness.base import register_judge
from uq_harness.correctness.judges.lexical import LexicalJudge
from uq_harness.functional.text import f1_of_tokens


@register_judge
@dataclass(frozen=True)
class F1(LexicalJudge):
    """Harmonic mean of the precision and recall of words (Rajpurkar et al. 2016)."""

    name: ClassVar[str] = "f1"

    def compare(self, answer: list[str], reference: list[str]) -> float:
        """``2 · shared / (words of the answer + words of the reference)``."""
        return f1_of_tokens(answer, reference)
