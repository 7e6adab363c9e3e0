"""SemGrad: size of the gradient with respect to the states of the prompt's semantic-preserving token."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from uq_harness.evidence import Evidence, LayerSpan, Need, StateGradient
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.options import choice, flag, layer_span
from uq_harness.methods.sets import DEFAULT


@register_method
@dataclass(frozen=True)
class SemGrad(Method):
    """``mean_l mean_features |∂ℓ_H/∂h_l[k*]|`` over the inputs of the upper half of the blocks.

    ``ℓ_H = -(1/T) Σ_t H_t log p(y_t)`` is the answer's entropy-weighted mean negative log-likelihood and ``k*`` the
    prompt's semantic-preserving token (model argument ``sp_token``).
    """

    name: ClassVar[str] = "semgrad"
    title: ClassVar[str] = "SemGrad"
    source: ClassVar[str] = "Li et al., arXiv 2605.04638"
    cost: ClassVar[str] = "forward and backward pass of the upper blocks over the answer"
    sets: ClassVar[frozenset[str]] = DEFAULT

    semgrad_norm: str = choice("l1", "l1", "l2", meaning="mean absolute value (l1) or root mean square (l2)")
    semgrad_reweight: bool = flag(True, meaning="whether tokens are weighted by their entropies")
    semgrad_layers: LayerSpan = layer_span("top_half", meaning="blocks whose inputs are taken")

    def needs(self) -> tuple[Need[Any], ...]:
        """The state gradients of the chosen layers."""
        return (self._gradient,)

    def score(self, evidence: Evidence) -> float:
        """Mean absolute value, or root mean square pooled over layers and features."""
        norms = evidence[self._gradient]
        if self.semgrad_norm == "l2":
            return float(np.sqrt(norms.squared.mean()))
        return float(norms.absolute.mean())

    @property
    def _gradient(self) -> StateGradient:
        return StateGradient(self.semgrad_reweight, self.semgrad_layers)
