"""CoCoA with the improbability of the whole answer."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import AnswerLogProbs, Evidence, Need
from uq_harness.methods.base import register_method
from uq_harness.methods.samples import DissimilarityMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class CoCoAMSP(DissimilarityMethod):
    """``G-NLL · d``, ``d = mean_i (1 - g(y, s_i))`` with ``g`` the similarity of the answer and a sample."""

    name: ClassVar[str] = "cocoa_msp"
    title: ClassVar[str] = "CoCoA (MSP)"
    source: ClassVar[str] = "Vashurin et al. 2025, arXiv 2502.04964"
    cost: ClassVar[str] = "10 samples, similarity to the answer"
    sets: ClassVar[frozenset[str]] = SAMPLING
    sampling: ClassVar[bool] = True

    def needs(self) -> tuple[Need[Any], ...]:
        """The answer's log-probabilities, the samples, and their similarity to the answer."""
        return (AnswerLogProbs(), *self.comparisons())

    def score(self, evidence: Evidence) -> float:
        """Nats, 0 or more; ``nan`` for an answer without tokens."""
        return self.times_dissimilarity(functional.g_nll(evidence[AnswerLogProbs()]), evidence)
