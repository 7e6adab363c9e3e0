"""Token recall."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import ClassVar

from uq_harness.correctness.base import register_judge
from uq_harness.correctness.judges.lexical import LexicalJudge


@register_judge
@dataclass(frozen=True)
class TokenRecall(LexicalJudge):
    """Share of the reference's words that the answer contains, so that a full sentence is not punished.

    Proposed for answers of chat models by Adlakha et al. 2023, arXiv 2307.16877. One of two words is too little to go
    by, so an answer is correct that has more than the threshold's share.

    Attributes:
        strict: Whether a score equal to the threshold is too low.
    """

    name: ClassVar[str] = "token_recall"
    strict: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        """Checks the options."""
        super().__post_init__()
        if not isinstance(self.strict, bool):
            self.refuse("strict", "true or false")
        if self.strict and self.threshold == 1:
            self.refuse("threshold", "a number below 1, which a correct answer exceeds, or strict=false")

    def correct(self, score: float) -> bool:
        """Whether a score means a correct answer: it exceeds the threshold, or equals it where that is enough."""
        return score > self.threshold or (not self.strict and score == self.threshold)

    def compare(self, answer: list[str], reference: list[str]) -> float:
        """``shared / words of the reference``, counted with repetition."""
        return (Counter(answer) & Counter(reference)).total() / len(reference)
