"""Number of semantic sets: how many meanings the samples have."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import CONTRADICTION, ENTAILMENT, Evidence, Need, PairwiseEntailment
from uq_harness.methods.base import register_method
from uq_harness.methods.samples import SamplesMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class NumSemanticSets(SamplesMethod):
    """Connected components of the graph of ``E > C`` in both directions: entailment likelier than contradiction."""

    name: ClassVar[str] = "num_semantic_sets"
    title: ClassVar[str] = "Number of semantic sets"
    source: ClassVar[str] = "Lin et al. 2023, arXiv 2305.19187, section 4.2"
    cost: ClassVar[str] = "10 samples, NLI between all pairs"
    sets: ClassVar[frozenset[str]] = SAMPLING

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples and the NLI probabilities between them."""
        return (self.samples, PairwiseEntailment(self.samples))

    def score(self, evidence: Evidence) -> float:
        """From 1 to the number of samples; ``nan`` where a pair has no probabilities."""
        pairs = evidence[PairwiseEntailment(self.samples)]
        return functional.num_semantic_sets(pairs[..., CONTRADICTION], pairs[..., ENTAILMENT])
