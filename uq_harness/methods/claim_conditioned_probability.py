"""Claim-conditioned probability: how improbable what the answer's tokens say is, however it is said."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import AlternativeEntailment, Evidence, LikeliestTokens, Need
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.entailment import likeliest_labels
from uq_harness.methods.options import whole
from uq_harness.methods.sets import ALL_ALONE


@register_method
@dataclass(frozen=True)
class ClaimConditionedProbability(Method):
    """``-Σ_t log(E_t / (E_t + C_t))``: probabilities of the likeliest tokens that entail ``y_t``, or contradict it."""

    name: ClassVar[str] = "claim_conditioned_probability"
    title: ClassVar[str] = "CCP"
    source: ClassVar[str] = "Fadeeva et al. 2024, arXiv 2403.04696"
    cost: ClassVar[str] = "NLI between likeliest tokens"
    sets: ClassVar[frozenset[str]] = ALL_ALONE

    claim_top_k: int = whole(
        10, meaning="number of likeliest tokens that claim_conditioned_probability compares", at_least=2
    )

    def needs(self) -> tuple[Need[Any], ...]:
        """The likeliest tokens at each of the answer's, and the NLI probabilities between them."""
        return (self._alternatives, AlternativeEntailment(self._alternatives))

    def score(self, evidence: Evidence) -> float:
        """Nats; ``nan`` for an answer without tokens, or where a pair has no probabilities."""
        labels = likeliest_labels(evidence[AlternativeEntailment(self._alternatives)])
        return functional.claim_conditioned_probability(evidence[self._alternatives].logprobs, labels)

    @property
    def _alternatives(self) -> LikeliestTokens:
        return LikeliestTokens(self.claim_top_k)
