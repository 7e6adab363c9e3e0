"""ExGrad: size of the LM head's gradient."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness.evidence import Evidence, Need
from uq_harness.methods.base import register_method
from uq_harness.methods.head import HeadGradientMethod
from uq_harness.methods.sets import DEFAULT


@register_method
@dataclass(frozen=True)
class ExGrad(HeadGradientMethod):
    """``mean |∂ℓ/∂W|`` with ``ℓ = -(1/T) Σ_t log p(y_t)`` and ``W`` the LM head's matrix."""

    name: ClassVar[str] = "exgrad"
    title: ClassVar[str] = "ExGrad"
    source: ClassVar[str] = "Igoe et al. 2022, arXiv 2205.10439, as in Li et al., arXiv 2605.04638"
    cost: ClassVar[str] = "a product of the answer's states with the LM head"
    sets: ClassVar[frozenset[str]] = DEFAULT

    def needs(self) -> tuple[Need[Any], ...]:
        """The head's gradient, every token weighing the same."""
        return (self.gradient(reweighted=False),)

    def score(self, evidence: Evidence) -> float:
        """Mean absolute value over the matrix's entries."""
        return evidence[self.gradient(reweighted=False)]
