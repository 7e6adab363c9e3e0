"""Verbalised confidence: how likely the model says that its answer is right, when asked."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import ConfidenceReply, Evidence, Need
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.sets import ALL_ALONE

REPLY = ConfidenceReply(
    message="How likely is it that your answer is correct? Reply with a probability between 0.0 and 1.0, and write the "
    "number alone.",
    max_tokens=10,
)


@register_method
@dataclass(frozen=True)
class VerbalizedConfidence(Method):
    """1 - the probability that the model states for its answer, in one more turn of the conversation."""

    name: ClassVar[str] = "verbalized_confidence"
    title: ClassVar[str] = "Verbalised confidence"
    source: ClassVar[str] = "Tian et al. 2023, arXiv 2305.14975"
    cost: ClassVar[str] = "a reply of 10 tokens at most"
    sets: ClassVar[frozenset[str]] = ALL_ALONE

    def needs(self) -> tuple[Need[Any], ...]:
        """What the model replies."""
        return (REPLY,)

    def score(self, evidence: Evidence) -> float:
        """From 0 to 1; ``nan`` for a reply that states no probability."""
        return 1 - functional.stated_confidence(evidence[REPLY])
