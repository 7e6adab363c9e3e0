"""Perplexity: improbability of the greedy answer, per token."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import AnswerLogProbs, Evidence, Need
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.sets import CHEAP


@register_method
@dataclass(frozen=True)
class Perplexity(Method):
    """``-(1/T) Σ_t log p(y_t)``, the logarithm of the answer's perplexity, which ranks alike."""

    name: ClassVar[str] = "perplexity"
    title: ClassVar[str] = "Perplexity"
    source: ClassVar[str] = "Fomicheva et al. 2020, arXiv 2005.10608"
    sets: ClassVar[frozenset[str]] = CHEAP

    def needs(self) -> tuple[Need[Any], ...]:
        """The answer's log-probabilities."""
        return (AnswerLogProbs(),)

    def score(self, evidence: Evidence) -> float:
        """Nats per token; ``nan`` for an answer without tokens."""
        return functional.perplexity(evidence[AnswerLogProbs()])
