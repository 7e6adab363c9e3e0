"""ParaGrad: size of the LM head's gradient under the entropy-weighted likelihood."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness.evidence import Evidence, Need
from uq_harness.methods.base import register_method
from uq_harness.methods.head import HeadGradientMethod
from uq_harness.methods.sets import DEFAULT


@register_method
@dataclass(frozen=True)
class ParaGrad(HeadGradientMethod):
    """``mean |∂ℓ_H/∂W|`` with ``ℓ_H = -(1/T) Σ_t H_t log p(y_t)``, the entropies ``H_t`` taken as constants."""

    name: ClassVar[str] = "paragrad"
    title: ClassVar[str] = "ParaGrad"
    source: ClassVar[str] = "Li et al., arXiv 2605.04638"
    cost: ClassVar[str] = "a product of the answer's states with the LM head"
    sets: ClassVar[frozenset[str]] = DEFAULT

    def needs(self) -> tuple[Need[Any], ...]:
        """The head's gradient, tokens weighted by their entropies."""
        return (self.gradient(reweighted=True),)

    def score(self, evidence: Evidence) -> float:
        """Mean absolute value over the matrix's entries."""
        return evidence[self.gradient(reweighted=True)]
