"""Semantic Energy: logits of sampled tokens, gathered by meaning."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence, Need, PairwiseEntailment, SampleLogits
from uq_harness.methods.base import register_method
from uq_harness.methods.semantic_entropy import MeaningClustersMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class SemanticEnergy(MeaningClustersMethod):
    """``-max_C (1/N) Σ_{i∈C} z̄_i`` over clusters of samples that entail each other.

    ``z̄_i`` is the mean logit of sample ``i``'s tokens.
    """

    name: ClassVar[str] = "semantic_energy"
    title: ClassVar[str] = "Semantic Energy"
    source: ClassVar[str] = "Ma et al. 2025, arXiv 2508.14496"
    sets: ClassVar[frozenset[str]] = SAMPLING

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples with their tokens' logits, and the entailment between them."""
        return (self.samples, SampleLogits(self.samples), PairwiseEntailment(self.samples))

    def score(self, evidence: Evidence) -> float:
        """In the logits' unit; ``nan`` where a sample has no tokens or a pair no label."""
        clusters = self.clusters(evidence)
        if clusters is None:
            return float("nan")
        return functional.semantic_energy(evidence[SampleLogits(self.samples)], clusters)
