"""Non-contradiction: how far samples contradict the greedy answer."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import CONTRADICTION, AnswerEntailment, Evidence, Need
from uq_harness.methods.base import register_method
from uq_harness.methods.samples import SamplesMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class Noncontradiction(SamplesMethod):
    """``mean_i (C(y, s_i) + C(s_i, y)) / 2`` with ``C`` the probability of contradiction."""

    name: ClassVar[str] = "noncontradiction"
    title: ClassVar[str] = "Non-contradiction"
    source: ClassVar[str] = "Manakul et al. 2023, arXiv 2303.08896; Chen and Mueller 2023, arXiv 2308.16175"
    cost: ClassVar[str] = "10 samples, NLI with the answer"
    sets: ClassVar[frozenset[str]] = SAMPLING

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples and the NLI probabilities between them and the greedy answer."""
        return (self.samples, AnswerEntailment(self.samples))

    def score(self, evidence: Evidence) -> float:
        """From 0 (none contradicts) to 1; ``nan`` where a pair has no probabilities."""
        return functional.noncontradiction(evidence[AnswerEntailment(self.samples)][..., CONTRADICTION])
