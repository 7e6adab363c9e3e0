"""Boosted probability: a token among several good ones is not uncertain."""

from dataclasses import dataclass
from typing import ClassVar

from uq_harness.evidence import Evidence
from uq_harness.functional.statistics import DominantMass
from uq_harness.methods.base import register_method
from uq_harness.methods.distribution import DistributionMethod


@register_method
@dataclass(frozen=True)
class BoostedProbability(DistributionMethod):
    """``1 - mean_t b_t``: ``b_t`` is the dominant tokens' probability if the token is one of them, else its own."""

    name: ClassVar[str] = "boosted_probability"
    title: ClassVar[str] = "Boosted Probability"
    source: ClassVar[str] = "Dinh and Niehues 2025, arXiv 2502.11115"

    @property
    def statistic(self) -> DominantMass:
        """Its term for one token."""
        return DominantMass()

    def score(self, evidence: Evidence) -> float:
        """From 0 to 1; ``nan`` for an answer without tokens."""
        return 1 - self.mean(evidence)
