"""Lexical similarity: how little the samples share word for word."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence, Need
from uq_harness.methods.base import register_method
from uq_harness.methods.samples import SamplesMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class LexicalSimilarity(SamplesMethod):
    """``1 - mean_{i<j} ROUGE-L(s_i, s_j)``."""

    name: ClassVar[str] = "lexical_similarity"
    title: ClassVar[str] = "Lexical similarity"
    source: ClassVar[str] = "Fomicheva et al. 2020, arXiv 2005.10608"
    cost: ClassVar[str] = "10 samples"
    sets: ClassVar[frozenset[str]] = SAMPLING

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples."""
        return (self.samples,)

    def score(self, evidence: Evidence) -> float:
        """From 0 (all alike) to 1; ``nan`` for fewer than two samples."""
        return functional.lexical_similarity([sample.text for sample in evidence[self.samples]])
