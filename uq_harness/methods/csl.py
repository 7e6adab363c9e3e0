"""CSL: improbability of the answer's tokens, weighted by the attention that they get when the answer is graded."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import AnswerAttention, AnswerLogProbs, Evidence, Need
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.p_true import CHOICES
from uq_harness.methods.sets import SAMPLING_FREE


def before_answer(question: str) -> str:
    """The grading prompt up to the proposed answer, which begins a line: it may begin with a space or without."""
    return f"Question: {question}\nPossible answer:\n"


GRADING = AnswerAttention(before=before_answer, after=CHOICES)


@register_method
@dataclass(frozen=True)
class CSL(Method):
    """``-Σ_t w_t log p_t``, ``w`` the attention of a grading prompt's last token to the answer's tokens, normalised."""

    name: ClassVar[str] = "csl"
    title: ClassVar[str] = "CSL"
    source: ClassVar[str] = "Lin et al. 2024, arXiv 2406.01806"
    cost: ClassVar[str] = "a forward pass over question and answer"
    sets: ClassVar[frozenset[str]] = SAMPLING_FREE

    def needs(self) -> tuple[Need[Any], ...]:
        """The answer's log-probabilities, and the attention to its tokens."""
        return (AnswerLogProbs(), GRADING)

    def score(self, evidence: Evidence) -> float:
        """Nats, 0 or more; ``nan`` for an answer without tokens or with special ones alone."""
        return functional.csl(evidence[AnswerLogProbs()], evidence[GRADING])
