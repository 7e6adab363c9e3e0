"""Dissimilarity of the greedy answer from samples, the half of CoCoA that compares texts."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness.evidence import Evidence, Need
from uq_harness.methods.base import register_method
from uq_harness.methods.samples import DissimilarityMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class Dissimilarity(DissimilarityMethod):
    """``d = mean_i (1 - g(y, s_i))`` with ``g`` the similarity of the answer and a sample."""

    name: ClassVar[str] = "dissimilarity"
    title: ClassVar[str] = "Dissimilarity"
    source: ClassVar[str] = "Vashurin et al. 2025, arXiv 2502.04964, ablations"
    cost: ClassVar[str] = "10 samples, similarity to the answer"
    sets: ClassVar[frozenset[str]] = SAMPLING
    sampling: ClassVar[bool] = True

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples and their similarity to the answer."""
        return self.comparisons()

    def score(self, evidence: Evidence) -> float:
        """From 0 (every sample says the same as the answer) to 1."""
        return self.times_dissimilarity(1.0, evidence)
