"""Answer entailment: how far samples and the greedy answer do not entail each other."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import ENTAILMENT, AnswerEntailment, Evidence, Need
from uq_harness.methods.base import register_method
from uq_harness.methods.samples import SamplesMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class AnswerEntailmentMethod(SamplesMethod):
    """``1 - mean_i (E(y, s_i) + E(s_i, y)) / 2`` with ``E`` the probability of entailment."""

    name: ClassVar[str] = "answer_entailment"
    title: ClassVar[str] = "Answer entailment"
    source: ClassVar[str] = "Chen and Mueller 2023, arXiv 2308.16175"
    cost: ClassVar[str] = "10 samples, NLI with the answer"
    sets: ClassVar[frozenset[str]] = SAMPLING

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples and the NLI probabilities between them and the greedy answer."""
        return (self.samples, AnswerEntailment(self.samples))

    def score(self, evidence: Evidence) -> float:
        """From 0 (all entail each other) to 1; ``nan`` where a pair has no probabilities."""
        return functional.answer_entailment(evidence[AnswerEntailment(self.samples)][..., ENTAILMENT])
