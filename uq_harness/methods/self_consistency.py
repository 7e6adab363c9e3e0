"""Self-consistency: share of samples that do not say what the greedy answer says."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import AnswerEntailment, Evidence, Need, Samples
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.entailment import mutual_entailment
from uq_harness.methods.options import likeliest, mass, positive, probability, whole
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class SelfConsistency(Method):
    """``1 - (1/N) Σ_i 1[e_i > 0.5]``, ``e_i`` the mean of both directions' ``P(entail)`` between answer and sample."""

    name: ClassVar[str] = "self_consistency"
    title: ClassVar[str] = "Self-Consistency"
    source: ClassVar[str] = "Wang et al. 2022, arXiv 2203.11171, as in Li et al., arXiv 2605.04638"
    cost: ClassVar[str] = "10 samples, NLI with the answer"
    sets: ClassVar[frozenset[str]] = SAMPLING
    sampling: ClassVar[bool] = True

    consistency_samples: int = whole(10, meaning="number of samples")
    consistency_temperature: float = positive(0.7, meaning="temperature of the samples")
    consistency_top_p: float = mass(1.0, meaning="mass of the likeliest tokens that are drawn from")
    consistency_top_k: int = likeliest(0, meaning="number of the likeliest tokens drawn from, 0 for all")
    consistency_threshold: float = probability(0.5, meaning="entailment above which a sample agrees with the answer")

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples and the entailment between them and the greedy answer."""
        return (self._samples, AnswerEntailment(self._samples))

    def score(self, evidence: Evidence) -> float:
        """From 0 (all agree) to 1; ``nan`` where a pair has no probabilities."""
        found = evidence[AnswerEntailment(self._samples)]
        return functional.self_consistency(mutual_entailment(found), self.consistency_threshold)

    @property
    def _samples(self) -> Samples:
        return Samples(
            self.consistency_samples, self.consistency_temperature, self.consistency_top_p, self.consistency_top_k
        )
