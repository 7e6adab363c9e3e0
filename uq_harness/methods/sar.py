"""SAR: likelihood of relevant tokens, shared among samples that resemble each other."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence, Need, PairwiseSimilarity, TokenRelevance
from uq_harness.methods.base import register_method
from uq_harness.methods.samples import ShiftedSARMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class SAR(ShiftedSARMethod):
    """``(1/N) Σ_i -log(p'_i + (1/t) Σ_{j≠i} g(s_i, s_j) p'_j)`` with ``log p'_i = Σ_k (R_k/ΣR) log p(s_i,k)``.

    ``R_k`` is the relevance of token ``k`` to the sample's meaning, ``g`` the similarity of two samples.
    """

    name: ClassVar[str] = "sar"
    title: ClassVar[str] = "SAR"
    source: ClassVar[str] = "Duan et al. 2023, arXiv 2307.01379"
    cost: ClassVar[str] = "5 samples, similarity of all pairs and for each token"
    sets: ClassVar[frozenset[str]] = SAMPLING
    sampling: ClassVar[bool] = True

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples, their similarities, and the relevance of their tokens."""
        return (PairwiseSimilarity(self.samples), TokenRelevance(self.samples), *self.likelihoods())

    def score(self, evidence: Evidence) -> float:
        """Nats; negative where a raised probability is above 1. ``nan`` where a sample has no tokens."""
        return functional.sar(
            self.token_logprobs(evidence),
            evidence[TokenRelevance(self.samples)],
            evidence[PairwiseSimilarity(self.samples)],
            self.sar_shift_temperature,
        )
