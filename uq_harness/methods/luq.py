"""LUQ: how little the samples support each other."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import CONTRADICTION, ENTAILMENT, Evidence, Need, PairwiseEntailment
from uq_harness.methods.base import register_method
from uq_harness.methods.samples import SamplesMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class LUQ(SamplesMethod):
    """``1 - mean_{i≠j} E_ij / (E_ij + C_ij)`` with ``E`` = P(entailment), ``C`` = P(contradiction)."""

    name: ClassVar[str] = "luq"
    title: ClassVar[str] = "LUQ"
    source: ClassVar[str] = "Zhang et al. 2024, arXiv 2403.20279"
    cost: ClassVar[str] = "10 samples, NLI between all pairs"
    sets: ClassVar[frozenset[str]] = SAMPLING

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples and the NLI probabilities between them."""
        return (self.samples, PairwiseEntailment(self.samples))

    def score(self, evidence: Evidence) -> float:
        """From 0 (each entails each) to 1; ``nan`` for one sample, or where a pair has no probabilities."""
        pairs = evidence[PairwiseEntailment(self.samples)]
        return functional.luq(pairs[..., CONTRADICTION], pairs[..., ENTAILMENT])
