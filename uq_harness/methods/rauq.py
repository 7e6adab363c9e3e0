"""RAUQ: confidence in tokens, handed on by the heads that attend to the token before."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from uq_harness import functional
from uq_harness.evidence import AnswerEntropies, AnswerLogProbs, Evidence, Need, SelfAttention, VocabularySize
from uq_harness.functional import FloatArray
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.options import choice, option
from uq_harness.methods.sets import CHEAP

# The authors' settings, by what the confidence is.
ALPHA = {"probability": 0.2, "entropy": 0.9}


def _alpha(value: Any) -> float | str:
    if value == "auto":
        return "auto"
    number = float(value)
    if isinstance(value, bool) or not 0 <= number <= 1:
        raise ValueError(value)
    return number


@register_method
@dataclass(frozen=True)
class RAUQ(Method):
    """``max_layer -mean_t log c_t`` with ``c_1 = p_1`` and ``c_t = alpha p_t + (1 - alpha) a_t c_{t-1}``.

    ``a_t`` is the weight that the layer's head which attends most to the token before gives to it.
    """

    name: ClassVar[str] = "rauq"
    title: ClassVar[str] = "RAUQ"
    source: ClassVar[str] = "Vazhentsev et al. 2025, arXiv 2505.20045"
    cost: ClassVar[str] = "one attention weight a token and head in the middle third of the blocks"
    sets: ClassVar[frozenset[str]] = CHEAP

    rauq_confidence: str = choice(
        "probability",
        "probability",
        "entropy",
        meaning="a token's confidence: its probability, or log V minus its distribution's entropy",
    )
    rauq_alpha: float | str = option(
        "auto",
        _alpha,
        "auto or a number from 0 to 1",
        meaning="share of a token's own confidence; auto: 0.2 with probability, 0.9 with entropy",
    )

    def needs(self) -> tuple[Need[Any], ...]:
        """The attention weights, and what the confidence is made of."""
        if self.rauq_confidence == "entropy":
            return (AnswerEntropies(), VocabularySize(), SelfAttention())
        return (AnswerLogProbs(), SelfAttention())

    def score(self, evidence: Evidence) -> float:
        """Nats per token, below 0 where entropies are small; ``nan`` for an answer without tokens."""
        return functional.rauq(**self._inputs(evidence))

    def token_values(self, evidence: Evidence) -> dict[str, FloatArray]:
        """``rauq``: ``-log c_t`` of each token, whose mean is the score."""
        return {self.name: functional.rauq_tokens(**self._inputs(evidence))}

    def _inputs(self, evidence: Evidence) -> dict[str, Any]:
        if self.rauq_confidence == "entropy":
            confidence = math.log(evidence[VocabularySize()]) - evidence[AnswerEntropies()]
        else:
            confidence = np.exp(evidence[AnswerLogProbs()])
        alpha = ALPHA[self.rauq_confidence] if isinstance(self.rauq_alpha, str) else self.rauq_alpha
        return {"confidence": confidence, "attention": evidence[SelfAttention()], "alpha": alpha}
