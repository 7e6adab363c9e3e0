"""Token recall."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from uq_harness.correctness._registry import register_judge
from uq_harness.correctness.judges._lexical import LexicalJudge


@register_judge
@dataclass(frozen=True)
class TokenRecall(LexicalJudge):
    """Share of the reference's words that the answer contains, so that a full sentence is not punished.

    Proposed for answers of chat models by Adlakha et al. 2023, arXiv 2307.16877.
    """

    name: ClassVar[str] = "token_recall"

    def compare(self, answer: list[str], reference: list[str]) -> float:
        """``shared / words of the reference``, counted with repetition."""
        return (Counter(answer) & Counter(reference)).total() / len(reference)
