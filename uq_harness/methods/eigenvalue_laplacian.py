"""EigV: a soft count of the samples' meanings, from the eigenvalues of their graph."""

from dataclasses import dataclass
from typing import ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence
from uq_harness.methods.base import register_method
from uq_harness.methods.graph import GraphMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class EigenvalueLaplacian(GraphMethod):
    """``Σ_k max(0, 1 - λ_k)`` over the eigenvalues of the normalised Laplacian ``I - D^(-1/2) W D^(-1/2)``."""

    name: ClassVar[str] = "eigenvalue_laplacian"
    title: ClassVar[str] = "EigV"
    source: ClassVar[str] = "Lin et al. 2023, arXiv 2305.19187"
    cost: ClassVar[str] = "10 samples, NLI between all pairs"
    sets: ClassVar[frozenset[str]] = SAMPLING
    sampling: ClassVar[bool] = True

    def score(self, evidence: Evidence) -> float:
        """From 1 (all alike) to the number of samples; ``nan`` where a pair has no probabilities."""
        return functional.eigenvalue_laplacian(self.weights(evidence))
