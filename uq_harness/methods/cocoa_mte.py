"""CoCoA with the mean entropy of the answer's tokens."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import AnswerEntropies, Evidence, Need
from uq_harness.methods.base import register_method
from uq_harness.methods.samples import DissimilarityMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class CoCoAMTE(DissimilarityMethod):
    """``mean_token_entropy · d``, ``d = mean_i (1 - g(y, s_i))``, ``g`` the similarity of the answer and a sample."""

    name: ClassVar[str] = "cocoa_mte"
    title: ClassVar[str] = "CoCoA (MTE)"
    source: ClassVar[str] = "Vashurin et al. 2025, arXiv 2502.04964"
    cost: ClassVar[str] = "10 samples, similarity to the answer"
    sets: ClassVar[frozenset[str]] = SAMPLING
    sampling: ClassVar[bool] = True

    def needs(self) -> tuple[Need[Any], ...]:
        """The answer's entropies, the samples, and their similarity to the answer."""
        return (AnswerEntropies(), *self.comparisons())

    def score(self, evidence: Evidence) -> float:
        """Nats, 0 or more; ``nan`` for an answer without tokens."""
        return self.times_dissimilarity(functional.mean_token_entropy(evidence[AnswerEntropies()]), evidence)
