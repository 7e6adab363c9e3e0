"""Monte Carlo probability: how improbable the greedy and the sampled answers are, per token."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import AnswerLogProbs, Evidence, Need, SampleLogProbs
from uq_harness.methods.base import register_method
from uq_harness.methods.samples import SamplesMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class MonteCarloProbability(SamplesMethod):
    """``1 - mean_i e^{l_i}`` over the greedy answer and the samples, ``l_i`` the mean token log-probability."""

    name: ClassVar[str] = "monte_carlo_probability"
    title: ClassVar[str] = "Monte Carlo probability"
    source: ClassVar[str] = "Kuhn et al. 2023, arXiv 2302.09664; as in uqlm 0.6.7"
    cost: ClassVar[str] = "10 samples"
    sets: ClassVar[frozenset[str]] = SAMPLING

    def needs(self) -> tuple[Need[Any], ...]:
        """The log-probabilities of the answer and of the samples, the model's own."""
        return (AnswerLogProbs(), self.samples, SampleLogProbs(self.samples))

    def score(self, evidence: Evidence) -> float:
        """From 0 (certain of every token) to 1; ``nan`` where an answer has no tokens."""
        return functional.monte_carlo_probability([evidence[AnswerLogProbs()], *evidence[SampleLogProbs(self.samples)]])
