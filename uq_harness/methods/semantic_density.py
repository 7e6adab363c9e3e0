"""Semantic Density: how much of the likely answers' weight is near the greedy answer."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import AnswerEntailment, DiverseBeams, Evidence, Need, RescoredLogProb
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.entailment import distance_of_meaning
from uq_harness.methods.options import not_negative, positive, whole
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class SemanticDensity(Method):
    """``1 - Σ_i (1 - d_i) w_i / Σ_i w_i`` over the distinct texts that diverse beam search finds.

    ``d_i`` is the mean of both directions' ``P(contradict) + P(neutral)/2`` between the greedy answer and text ``i``,
    ``w_i`` the exponential of the text's mean token log-probability under sharpened logits.
    """

    name: ClassVar[str] = "semantic_density"
    title: ClassVar[str] = "Semantic Density"
    source: ClassVar[str] = "Qiu and Miikkulainen 2024, arXiv 2405.13845"
    cost: ClassVar[str] = "10 diverse beams, a pass over their texts, NLI with the answer"
    sets: ClassVar[frozenset[str]] = SAMPLING
    sampling: ClassVar[bool] = True

    density_beams: int = whole(10, meaning="number of diverse beams")
    density_penalty: float = not_negative(1.0, meaning="what a beam pays for a token that earlier beams chose")
    density_temperature: float = positive(0.1, meaning="divides the logits that the texts' weights are taken from")

    def needs(self) -> tuple[Need[Any], ...]:
        """The beams' answers, the entailment between them and the greedy answer, and their weights."""
        return (self._beams, AnswerEntailment(self._beams), self._rescored)

    def score(self, evidence: Evidence) -> float:
        """From 0 to 1; ``nan`` where no beam has a text or one of them no weight or distance."""
        texts = [sample.text for sample in evidence[self._beams]]
        distances = distance_of_meaning(evidence[AnswerEntailment(self._beams)])
        # Without a token to score, a text has no weight: an empty product would make it the most likely of all.
        written = [position for position, text in enumerate(texts) if text.strip()]
        return functional.semantic_density(
            texts=[texts[position] for position in written],
            mean_logprobs=evidence[self._rescored][written],
            distances=distances[written],
        )

    @property
    def _beams(self) -> DiverseBeams:
        return DiverseBeams(self.density_beams, self.density_penalty)

    @property
    def _rescored(self) -> RescoredLogProb:
        return RescoredLogProb(self._beams, self.density_temperature)
