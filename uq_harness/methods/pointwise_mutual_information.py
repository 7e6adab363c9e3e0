"""Pointwise mutual information: how little the question raises the probabilities of the answer's tokens."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import AnswerLogProbs, Evidence, Need, UnconditionalLogProbs
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.sets import SAMPLING_FREE


@register_method
@dataclass(frozen=True)
class PointwiseMutualInformation(Method):
    """``-mean_t (log p_t - log p(y_t | y_<t))``, the second without the question and not for the first token."""

    name: ClassVar[str] = "pointwise_mutual_information"
    title: ClassVar[str] = "PMI"
    source: ClassVar[str] = (
        "Takayama and Arase 2019, ACL Anthology W19-4115; of a model's answers: van der Poel et al. 2022, "
        "arXiv 2210.13210"
    )
    cost: ClassVar[str] = "a forward pass over the answer alone"
    sets: ClassVar[frozenset[str]] = SAMPLING_FREE

    def needs(self) -> tuple[Need[Any], ...]:
        """The answer's log-probabilities with and without the question."""
        return (AnswerLogProbs(), UnconditionalLogProbs())

    def score(self, evidence: Evidence) -> float:
        """Nats per token, of either sign; ``nan`` for an answer without tokens."""
        return functional.pointwise_mutual_information(evidence[AnswerLogProbs()], evidence[UnconditionalLogProbs()])
