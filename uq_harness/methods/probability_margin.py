"""Probability margin: how close the two likeliest tokens are."""

from dataclasses import dataclass
from typing import ClassVar

from uq_harness.evidence import Evidence
from uq_harness.functional.statistics import Margin
from uq_harness.methods.base import register_method
from uq_harness.methods.distribution import DistributionMethod


@register_method
@dataclass(frozen=True)
class ProbabilityMargin(DistributionMethod):
    """``1 - mean_t (p_(1) - p_(2))`` with the probabilities of the two likeliest tokens."""

    name: ClassVar[str] = "probability_margin"
    title: ClassVar[str] = "Probability Margin"
    source: ClassVar[str] = "Farr et al. 2024, arXiv 2408.08217"

    @property
    def statistic(self) -> Margin:
        """Its term for one token."""
        return Margin()

    def score(self, evidence: Evidence) -> float:
        """From 0 to 1; ``nan`` for an answer without tokens."""
        return 1 - self.mean(evidence)
