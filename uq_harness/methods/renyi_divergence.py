"""Rényi divergence of the next-token distributions from flat ones."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness.evidence import Evidence
from uq_harness.functional.statistics import RenyiFromUniform
from uq_harness.methods.base import register_method
from uq_harness.methods.distribution import TemperedDistributionMethod
from uq_harness.methods.options import option


def _order(value: Any) -> float:
    """A number above 0 that is not 1."""
    number = float(value)
    if isinstance(value, bool) or not 0 < number < float("inf") or number == 1:
        raise ValueError(value)
    return number


@register_method
@dataclass(frozen=True)
class RenyiDivergence(TemperedDistributionMethod):
    """``-mean_t (log V - H_α(p^(1/τ)))`` with ``H_α = log(Σ_v p_v^α) / (1 - α)``."""

    name: ClassVar[str] = "renyi_divergence"
    title: ClassVar[str] = "Rényi Divergence"
    source: ClassVar[str] = "Darrin et al. 2023, arXiv 2212.09171"

    renyi_order: float = option(0.5, _order, "a number above 0, but not 1", "order of the divergence")

    @property
    def statistic(self) -> RenyiFromUniform:
        """Its term for one token."""
        return RenyiFromUniform(self.renyi_order, self.uniform_temperature)

    def score(self, evidence: Evidence) -> float:
        """Nats, 0 for flat distributions and below for others; ``nan`` for an answer without tokens."""
        return -self.mean(evidence)
