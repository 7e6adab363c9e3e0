"""Self-certainty: how far the next-token distributions are from flat ones."""

from dataclasses import dataclass
from typing import ClassVar

from uq_harness.evidence import Evidence
from uq_harness.functional.statistics import MeanLogProb
from uq_harness.methods.base import register_method
from uq_harness.methods.distribution import DistributionMethod


@register_method
@dataclass(frozen=True)
class SelfCertainty(DistributionMethod):
    """``mean_t (log V + (1/V) Σ_v log p(v))``, the paper's score with its sign changed."""

    name: ClassVar[str] = "self_certainty"
    title: ClassVar[str] = "Self-Certainty"
    source: ClassVar[str] = "Kang et al. 2025, arXiv 2502.18581"

    @property
    def statistic(self) -> MeanLogProb:
        """Its term for one token."""
        return MeanLogProb()

    def score(self, evidence: Evidence) -> float:
        """Nats, 0 for flat distributions and below for others; ``nan`` for an answer without tokens."""
        return self.mean(evidence)
