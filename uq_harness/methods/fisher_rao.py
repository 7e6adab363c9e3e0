"""Fisher-Rao distance of the next-token distributions from flat ones."""

from dataclasses import dataclass
from typing import ClassVar

from uq_harness.evidence import Evidence
from uq_harness.functional.statistics import FisherRaoFromUniform
from uq_harness.methods.base import register_method
from uq_harness.methods.distribution import TemperedDistributionMethod


@register_method
@dataclass(frozen=True)
class FisherRao(TemperedDistributionMethod):
    """``-mean_t (2/π) arccos Σ_v sqrt(p_v / V)`` of the distributions ``p^(1/τ)``."""

    name: ClassVar[str] = "fisher_rao"
    title: ClassVar[str] = "Fisher-Rao Distance"
    source: ClassVar[str] = "Darrin et al. 2023, arXiv 2212.09171"

    @property
    def statistic(self) -> FisherRaoFromUniform:
        """Its term for one token."""
        return FisherRaoFromUniform(self.uniform_temperature)

    def score(self, evidence: Evidence) -> float:
        """From -1 to 0, the value of flat distributions; ``nan`` for an answer without tokens."""
        return -self.mean(evidence)
