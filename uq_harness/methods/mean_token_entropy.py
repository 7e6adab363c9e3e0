"""Mean token entropy: how open the choice of the greedy answer's tokens was on average."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import AnswerEntropies, Evidence, Need
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.sets import CHEAP


@register_method
@dataclass(frozen=True)
class MeanTokenEntropy(Method):
    """``(1/T) Σ_t H_t``, ``H_t`` the entropy of the distribution that token ``t`` was taken from."""

    name: ClassVar[str] = "mean_token_entropy"
    title: ClassVar[str] = "Mean token entropy"
    source: ClassVar[str] = "Fomicheva et al. 2020, arXiv 2005.10608"
    sets: ClassVar[frozenset[str]] = CHEAP

    def needs(self) -> tuple[Need[Any], ...]:
        """The entropies of the answer's tokens."""
        return (AnswerEntropies(),)

    def score(self, evidence: Evidence) -> float:
        """Nats; ``nan`` for an answer without tokens."""
        return functional.mean_token_entropy(evidence[AnswerEntropies()])
