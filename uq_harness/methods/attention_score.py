"""Attention score: how little the answer's tokens attend to themselves in the middle layer."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence, Need, SelfAttention
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.sets import CHEAP

MIDDLE = SelfAttention("middle")


@register_method
@dataclass(frozen=True)
class AttentionScore(Method):
    """``-mean log a_tt`` over the heads of the middle layer and the answer's tokens but the last."""

    name: ClassVar[str] = "attention_score"
    title: ClassVar[str] = "Attention score"
    source: ClassVar[str] = "Sriramanan et al. 2024, LLM-Check (NeurIPS 2024)"
    cost: ClassVar[str] = "one attention weight a token and head of one block"
    sets: ClassVar[frozenset[str]] = CHEAP

    def needs(self) -> tuple[Need[Any], ...]:
        """The weights in the middle layer."""
        return (MIDDLE,)

    def score(self, evidence: Evidence) -> float:
        """0 or more; ``nan`` for an answer of fewer than two tokens."""
        (weights,) = evidence[MIDDLE]
        return functional.attention_score(weights)
