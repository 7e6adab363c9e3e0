"""Token-SAR: SAR without the comparison of samples."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence, Need, TokenRelevance
from uq_harness.methods.base import register_method
from uq_harness.methods.samples import SARSamplesMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class TokenSAR(SARSamplesMethod):
    """``-(1/N) Σ_i log p'_i`` with ``log p'_i = Σ_k (R_k/ΣR) log p(s_i,k)``, ``R_k`` the relevance of token ``k``."""

    name: ClassVar[str] = "token_sar"
    title: ClassVar[str] = "Token-SAR"
    source: ClassVar[str] = "Duan et al. 2023, arXiv 2307.01379"
    cost: ClassVar[str] = "5 samples, similarity for each token"
    sets: ClassVar[frozenset[str]] = SAMPLING
    sampling: ClassVar[bool] = True

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples and the relevance of their tokens."""
        return (TokenRelevance(self.samples), *self.likelihoods())

    def score(self, evidence: Evidence) -> float:
        """Nats per token; ``nan`` where a sample has no tokens."""
        return functional.token_sar(self.token_logprobs(evidence), evidence[TokenRelevance(self.samples)])
