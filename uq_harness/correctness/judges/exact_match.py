"""Exact match."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from uq_harness.correctness.base import register_judge
from uq_harness.correctness.judges.lexical import COUNT, LexicalJudge


@register_judge
@dataclass(frozen=True)
class ExactMatch(LexicalJudge):
    """1 if answer and reference are the same words in the same order, else 0 (Rajpurkar et al. 2016).

    Equality leaves no room for a share of the question's words, so all words count unless one asks for less.
    """

    name: ClassVar[str] = "exact_match"
    threshold: float = 1.0
    question_words: str = field(default=COUNT, kw_only=True)

    def compare(self, answer: list[str], reference: list[str]) -> float:
        """Equality."""
        return float(answer == reference)
