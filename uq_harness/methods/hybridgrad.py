"""HybridGrad: ParaGrad for sure answers, SemGrad for open ones."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import AnswerEntropies, Evidence, Need
from uq_harness.methods.base import register_method
from uq_harness.methods.head import HeadGradientMethod
from uq_harness.methods.options import positive
from uq_harness.methods.paragrad import ParaGrad
from uq_harness.methods.semgrad import SemGrad
from uq_harness.methods.sets import DEFAULT


@register_method
@dataclass(frozen=True)
class HybridGrad(SemGrad, HeadGradientMethod):
    """``α γ ParaGrad + (1 - α) SemGrad`` with ``α = exp(-H̄ / β)`` and ``H̄`` the mean token entropy.

    SemGrad's and ParaGrad's options hold for their parts of the sum.
    """

    name: ClassVar[str] = "hybridgrad"
    title: ClassVar[str] = "HybridGrad"
    source: ClassVar[str] = "Li et al., arXiv 2605.04638"
    cost: ClassVar[str] = "none beside semgrad and paragrad"
    sets: ClassVar[frozenset[str]] = DEFAULT

    hybrid_beta: float = positive(1.0, meaning="temperature β of the weight α = exp(-H̄ / β)")
    hybrid_gamma: float = positive(1.0, meaning="factor γ on ParaGrad")

    def needs(self) -> tuple[Need[Any], ...]:
        """The needs of both parts, and the entropies that weigh them."""
        return (*super().needs(), *self._paragrad.needs(), AnswerEntropies())

    def score(self, evidence: Evidence) -> float:
        """The weighted sum of the two parts; ``nan`` for an answer without tokens."""
        entropies = evidence[AnswerEntropies()]
        mean_entropy = float(entropies.mean()) if len(entropies) else float("nan")
        return float(
            functional.hybridgrad(
                semgrad=super().score(evidence),
                paragrad=self.hybrid_gamma * self._paragrad.score(evidence),
                mean_entropy=mean_entropy / self.hybrid_beta,
            )
        )

    @property
    def _paragrad(self) -> ParaGrad:
        return ParaGrad(head_gradient=self.head_gradient)
