"""ROUGE-L."""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness.correctness.base import register_judge
from uq_harness.correctness.judges.lexical import LexicalJudge
from uq_harness.functional.text import fold

_RUNS = re.compile(r"[a-z0-9]+|[^a-z0-9\s]+")


@register_judge
@dataclass(frozen=True)
class RougeL(LexicalJudge):
    """F-measure of the longest common subsequence of words (Lin 2004), by the rouge-score package."""

    name: ClassVar[str] = "rouge_l"

    def words(self, text: str) -> list[str]:
        """rouge-score's words (runs of a-z and 0-9, articles stay), and the runs of all other letters beside them.

        rouge-score on its own drops what is not ASCII, which leaves nothing of an answer in another script.
        """
        kept = (c if unicodedata.category(c)[0] in "LMN" else " " for c in fold(text))
        return _RUNS.findall("".join(kept))

    def compare(self, answer: list[str], reference: list[str]) -> float:
        """``2PR / (P + R)`` with the subsequence's share of the answer (P) and of the reference (R)."""
        measure = _scorer().score(" ".join(reference), " ".join(answer))["rougeL"].fmeasure
        # Equal ratios come out of 2PR / (P + R) with different last digits, and would no longer tie.
        return round(float(measure), 12)


class _Spaces:
    """The tokeniser for rouge-score; the words are known already."""

    def tokenize(self, text: str) -> list[str]:
        return text.split()


@functools.cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=_Spaces())
