"""How many different answers the model gives: a method outside uq-harness."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness.evidence import Evidence, Need, Samples
from uq_harness.functional.text import normalize_answer
from uq_harness.methods import Method, register_method, whole


@register_method
@dataclass(frozen=True)
class DistinctAnswers(Method):
    """Share of the samples that differ from all earlier ones after SQuAD's normalisation."""

    name: ClassVar[str] = "distinct_answers"
    title: ClassVar[str] = "Distinct answers"
    source: ClassVar[str] = "example"
    cost: ClassVar[str] = "5 samples"
    sampling: ClassVar[bool] = True

    distinct_samples: int = whole(5, meaning="number of samples")

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples."""
        return (Samples(self.distinct_samples, 1.0),)

    def score(self, evidence: Evidence) -> float:
        """Above 0, at most 1; ``nan`` without samples."""
        texts = [normalize_answer(sample.text) for sample in evidence[Samples(self.distinct_samples, 1.0)]]
        return len(set(texts)) / len(texts) if texts else float("nan")
