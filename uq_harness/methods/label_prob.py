"""Label probability: share of the samples outside the largest cluster of meaning."""

from dataclasses import dataclass
from typing import ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence
from uq_harness.methods.base import register_method
from uq_harness.methods.semantic_entropy import MeaningClustersMethod


@register_method
@dataclass(frozen=True)
class LabelProb(MeaningClustersMethod):
    """``1 - max_C |C| / N`` over clusters of samples that entail each other."""

    name: ClassVar[str] = "label_prob"
    title: ClassVar[str] = "Label probability"
    source: ClassVar[str] = "Tian et al. 2023, arXiv 2305.14975; clusters: Kuhn et al. 2023, arXiv 2302.09664"

    def score(self, evidence: Evidence) -> float:
        """From 0 (one meaning) to ``1 - 1/N``; ``nan`` where a pair of samples has no label."""
        clusters = self.clusters(evidence)
        return float("nan") if clusters is None else functional.label_prob(clusters)
