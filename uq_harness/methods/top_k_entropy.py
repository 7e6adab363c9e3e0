"""Top-k entropy: entropy among the likeliest tokens alone."""

from dataclasses import dataclass
from typing import ClassVar

from uq_harness.evidence import Evidence
from uq_harness.functional.statistics import LikeliestEntropy
from uq_harness.methods.base import register_method
from uq_harness.methods.distribution import DistributionMethod
from uq_harness.methods.options import choice, whole


@register_method
@dataclass(frozen=True)
class TopKEntropy(DistributionMethod):
    """Entropy of the renormalised ``k`` likeliest tokens over ``log k``, its mean or maximum over the answer."""

    name: ClassVar[str] = "top_k_entropy"
    title: ClassVar[str] = "Top-k Entropy"
    source: ClassVar[str] = "Scalena et al. 2025, arXiv 2510.11170"

    top_k_entropy_k: int = whole(15, meaning="number of likeliest tokens that top_k_entropy reads", at_least=2)
    top_k_entropy_reduce: str = choice(
        "mean", "mean", "max", meaning="whether top_k_entropy is the mean or the maximum over the answer's tokens"
    )

    @property
    def statistic(self) -> LikeliestEntropy:
        """Its term for one token."""
        return LikeliestEntropy(self.top_k_entropy_k)

    def score(self, evidence: Evidence) -> float:
        """From 0 to 1; ``nan`` for an answer without tokens."""
        each = self.each(evidence)
        if self.top_k_entropy_reduce == "max" and len(each):
            return float(each.max())
        return self.mean(evidence)
