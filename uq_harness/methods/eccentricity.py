"""Ecc: how far the samples lie from their centre in the space of their graph's smooth eigenvectors."""

from dataclasses import dataclass
from typing import ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence
from uq_harness.methods.base import register_method
from uq_harness.methods.graph import GraphMethod
from uq_harness.methods.options import positive
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class Eccentricity(GraphMethod):
    """Frobenius norm of the centred eigenvectors of the normalised Laplacian with eigenvalues below the threshold."""

    name: ClassVar[str] = "eccentricity"
    title: ClassVar[str] = "Ecc"
    source: ClassVar[str] = "Lin et al. 2023, arXiv 2305.19187"
    cost: ClassVar[str] = "10 samples, NLI between all pairs"
    sets: ClassVar[frozenset[str]] = SAMPLING
    sampling: ClassVar[bool] = True

    eccentricity_threshold: float = positive(0.9, meaning="eigenvalues below it count in eccentricity")

    def score(self, evidence: Evidence) -> float:
        """From 0 (all alike) to ``sqrt(N - 1)``; ``nan`` where a pair has no probabilities."""
        return functional.eccentricity(self.weights(evidence), self.eccentricity_threshold)
