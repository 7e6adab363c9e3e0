"""Largest token improbability: how unlikely the least likely token of the greedy answer is."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import AnswerLogProbs, Evidence, Need
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.sets import CHEAP


@register_method
@dataclass(frozen=True)
class MaxTokenNLL(Method):
    """``-min_t log p(y_t)``."""

    name: ClassVar[str] = "max_token_nll"
    title: ClassVar[str] = "Max token NLL"
    source: ClassVar[str] = "Manakul et al. 2023, arXiv 2303.08896"
    sets: ClassVar[frozenset[str]] = CHEAP

    def needs(self) -> tuple[Need[Any], ...]:
        """The answer's log-probabilities."""
        return (AnswerLogProbs(),)

    def score(self, evidence: Evidence) -> float:
        """Nats; ``nan`` for an answer without tokens."""
        return functional.max_token_nll(evidence[AnswerLogProbs()])
