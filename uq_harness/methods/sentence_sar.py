"""Sentence-SAR: SAR without the relevance of tokens."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence, Need, PairwiseSimilarity
from uq_harness.methods.base import register_method
from uq_harness.methods.samples import ShiftedSARMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class SentenceSAR(ShiftedSARMethod):
    """``(1/N) Σ_i -log(p_i + (1/t) Σ_{j≠i} g(s_i, s_j) p_j)``, ``p_i`` the likelihood of the whole sample."""

    name: ClassVar[str] = "sentence_sar"
    title: ClassVar[str] = "Sentence-SAR"
    source: ClassVar[str] = "Duan et al. 2023, arXiv 2307.01379"
    cost: ClassVar[str] = "5 samples, similarity of all pairs"
    sets: ClassVar[frozenset[str]] = SAMPLING
    sampling: ClassVar[bool] = True

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples and their similarities."""
        return (*self.likelihoods(), PairwiseSimilarity(self.samples))

    def score(self, evidence: Evidence) -> float:
        """Nats; negative where a raised probability is above 1. ``nan`` where a sample has no tokens."""
        return functional.sentence_sar(
            self.token_logprobs(evidence),
            evidence[PairwiseSimilarity(self.samples)],
            self.sar_shift_temperature,
        )
