"""Predictive entropy: how improbable the sampled answers are as wholes."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence, Need
from uq_harness.methods.base import register_method
from uq_harness.methods.samples import LikelihoodMethod, SamplesMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class PredictiveEntropy(SamplesMethod, LikelihoodMethod):
    """``-(1/N) Σ_i Σ_t log p(s_i,t)``."""

    name: ClassVar[str] = "predictive_entropy"
    title: ClassVar[str] = "Predictive entropy"
    source: ClassVar[str] = "Malinin and Gales 2021, arXiv 2002.07650; Kuhn et al. 2023, arXiv 2302.09664"
    cost: ClassVar[str] = "10 samples"
    sets: ClassVar[frozenset[str]] = SAMPLING

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples with their likelihoods."""
        return self.likelihoods()

    def score(self, evidence: Evidence) -> float:
        """Nats; ``nan`` where a sample has no tokens."""
        return functional.predictive_entropy(self.token_logprobs(evidence))
