"""Exact match rate: share of samples whose text is not the greedy answer's."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence, Need
from uq_harness.methods.base import register_method
from uq_harness.methods.samples import SamplesMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class ExactMatchRate(SamplesMethod):
    """``(1/N) Σ_i 1[s_i ≠ y]``, texts compared character by character."""

    name: ClassVar[str] = "exact_match_rate"
    title: ClassVar[str] = "Exact match rate"
    source: ClassVar[str] = "Cole et al. 2023, arXiv 2305.14613"
    cost: ClassVar[str] = "10 samples"
    sets: ClassVar[frozenset[str]] = SAMPLING

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples."""
        return (self.samples,)

    def score(self, evidence: Evidence) -> float:
        """From 0 (all equal the answer) to 1; ``nan`` without samples."""
        return functional.exact_match(evidence.answer.text, [sample.text for sample in evidence[self.samples]])
