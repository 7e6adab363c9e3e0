"""Semantic alphabet size: how many meanings the model could have given, seen or not."""

from dataclasses import dataclass
from typing import ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence
from uq_harness.methods.base import register_method
from uq_harness.methods.graph import entailment_graph
from uq_harness.methods.semantic_entropy import MeaningClustersMethod


@register_method
@dataclass(frozen=True)
class SemanticAlphabetSize(MeaningClustersMethod):
    """The larger of Good and Turing's ``K N / (N - f)`` and of the graph's ``Σ_k max(0, 1 - λ_k)``.

    ``K`` clusters among ``N`` samples, ``f`` of them of one sample; the graph alone where each sample is a cluster.
    """

    name: ClassVar[str] = "semantic_alphabet_size"
    title: ClassVar[str] = "Semantic alphabet size"
    source: ClassVar[str] = "McCabe et al. 2025, arXiv 2509.14478"

    def score(self, evidence: Evidence) -> float:
        """At least 1; ``nan`` where a pair of samples has no label."""
        clusters = self.clusters(evidence)
        if clusters is None:
            return float("nan")
        return functional.semantic_alphabet_size(clusters, entailment_graph(self.samples, evidence))
