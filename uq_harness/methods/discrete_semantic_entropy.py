"""Discrete semantic entropy: entropy over meanings, weighted by how often they were sampled."""

from dataclasses import dataclass
from typing import ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence
from uq_harness.methods.base import register_method
from uq_harness.methods.semantic_entropy import MeaningClustersMethod


@register_method
@dataclass(frozen=True)
class DiscreteSemanticEntropy(MeaningClustersMethod):
    """``-Σ_C P(C) log P(C)`` over clusters of samples that entail each other, ``P(C) = |C| / N``."""

    name: ClassVar[str] = "discrete_semantic_entropy"
    title: ClassVar[str] = "Discrete Semantic Entropy"
    source: ClassVar[str] = "Farquhar et al. 2024, Nature 630; clusters: Kuhn et al. 2023, arXiv 2302.09664"

    def score(self, evidence: Evidence) -> float:
        """Nats; ``nan`` where a pair of samples has no label."""
        clusters = self.clusters(evidence)
        return float("nan") if clusters is None else functional.discrete_semantic_entropy(clusters)
