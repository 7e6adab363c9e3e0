"""Coverage-adjusted semantic entropy: entropy over meanings, corrected for those that no sample showed."""

from dataclasses import dataclass
from typing import ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence
from uq_harness.methods.base import register_method
from uq_harness.methods.graph import entailment_graph
from uq_harness.methods.semantic_entropy import MeaningClustersMethod


@register_method
@dataclass(frozen=True)
class CoverageAdjustedSemanticEntropy(MeaningClustersMethod):
    """``-Σ_C q log q / (1 - (1 - q)^N)`` with ``q = (K / A) |C| / N``: ``K`` clusters of an alphabet of ``A``."""

    name: ClassVar[str] = "coverage_adjusted_semantic_entropy"
    title: ClassVar[str] = "Coverage-adjusted Semantic Entropy"
    source: ClassVar[str] = "McCabe et al. 2025, arXiv 2509.14478; Chao and Shen 2003, doi 10.1023/A:1026096204727"

    def score(self, evidence: Evidence) -> float:
        """Nats, at least 0; ``nan`` where a pair of samples has no label."""
        clusters = self.clusters(evidence)
        if clusters is None:
            return float("nan")
        return functional.coverage_adjusted_semantic_entropy(clusters, entailment_graph(self.samples, evidence))
