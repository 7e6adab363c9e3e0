"""G-NLL: negative log-likelihood of the greedy answer."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import AnswerLogProbs, Evidence, Need
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.sets import CHEAP, DEFAULT


@register_method
@dataclass(frozen=True)
class GNLL(Method):
    """``-Σ_t log p(y_t)`` over the greedy answer's tokens, the end-of-sequence token included."""

    name: ClassVar[str] = "g_nll"
    title: ClassVar[str] = "G-NLL"
    source: ClassVar[str] = "Aichberger et al. 2024, arXiv 2412.15176"
    sets: ClassVar[frozenset[str]] = DEFAULT | CHEAP

    def needs(self) -> tuple[Need[Any], ...]:
        """The answer's log-probabilities."""
        return (AnswerLogProbs(),)

    def score(self, evidence: Evidence) -> float:
        """Sum of the tokens' negative log-probabilities, in nats; ``nan`` for an answer without tokens."""
        logprobs = evidence[AnswerLogProbs()]
        return float(functional.g_nll(logprobs)) if len(logprobs) else float("nan")
