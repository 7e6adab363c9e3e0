"""Conditional PMI: pointwise mutual information at the tokens that the model is uncertain of."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import AnswerEntropies, AnswerLogProbs, Evidence, Need, UnconditionalLogProbs
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.options import not_negative
from uq_harness.methods.sets import SAMPLING_FREE


@register_method
@dataclass(frozen=True)
class ConditionalPMI(Method):
    """``-mean_t (log p_t - λ 1[H_t >= τ] log p(y_t | y_<t))``, the last without the question."""

    name: ClassVar[str] = "conditional_pmi"
    title: ClassVar[str] = "Conditional PMI"
    source: ClassVar[str] = "van der Poel et al. 2022, arXiv 2210.13210"
    cost: ClassVar[str] = "a forward pass over the answer alone"
    sets: ClassVar[frozenset[str]] = SAMPLING_FREE

    cpmi_threshold: float = not_negative(
        0.0656, meaning="entropy in nats from which on conditional_pmi takes a token as uncertain"
    )
    cpmi_weight: float = not_negative(
        3.599, meaning="how much the log-probability without the question counts in conditional_pmi"
    )

    def needs(self) -> tuple[Need[Any], ...]:
        """The answer's log-probabilities with and without the question, and its entropies."""
        return (AnswerLogProbs(), UnconditionalLogProbs(), AnswerEntropies())

    def score(self, evidence: Evidence) -> float:
        """Nats per token, of either sign; ``nan`` for an answer without tokens."""
        return functional.conditional_pmi(
            evidence[AnswerLogProbs()],
            evidence[UnconditionalLogProbs()],
            evidence[AnswerEntropies()],
            threshold=self.cpmi_threshold,
            weight=self.cpmi_weight,
        )
