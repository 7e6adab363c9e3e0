"""Semantic entropy: entropy over meanings, weighted by likelihood."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from uq_harness import functional
from uq_harness.evidence import Evidence, Need, PairwiseEntailment
from uq_harness.methods.base import register_method
from uq_harness.methods.entailment import clusters_of_meaning
from uq_harness.methods.options import choice
from uq_harness.methods.samples import LikelihoodMethod, SamplesMethod
from uq_harness.methods.sets import SAMPLING


@dataclass(frozen=True)
class MeaningClustersMethod(SamplesMethod):
    """A method on clusters of samples that entail each other."""

    cost: ClassVar[str] = "10 samples, NLI between all pairs"
    sets: ClassVar[frozenset[str]] = SAMPLING

    entailment: str = choice(
        "relaxed",
        "relaxed",
        "strict",
        meaning="same meaning: no contradiction and entailment at least one way (relaxed), or both ways (strict)",
    )

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples and the entailment between them."""
        return (self.samples, PairwiseEntailment(self.samples))

    def clusters(self, evidence: Evidence) -> NDArray[np.int64] | None:
        """The cluster of each sample; ``None`` where a pair has no label."""
        found = evidence[PairwiseEntailment(self.samples)]
        return clusters_of_meaning(found, strict=self.entailment == "strict")


@register_method
@dataclass(frozen=True)
class SemanticEntropy(MeaningClustersMethod, LikelihoodMethod):
    """``-Σ_C P(C) log P(C)`` over clusters of samples that entail each other, ``P(C) = Σ_{i∈C} e^{l_i} / Σ_j e^{l_j}``.

    ``l_i`` is the mean token log-probability of sample ``i``.
    """

    name: ClassVar[str] = "semantic_entropy"
    title: ClassVar[str] = "Semantic Entropy"
    source: ClassVar[str] = "Kuhn et al. 2023, arXiv 2302.09664; Farquhar et al. 2024, Nature 630"

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples with their likelihoods, and the entailment between them."""
        return (*self.likelihoods(), PairwiseEntailment(self.samples))

    def score(self, evidence: Evidence) -> float:
        """Nats; ``nan`` where a sample has no tokens or a pair no label."""
        clusters = self.clusters(evidence)
        if clusters is None:
            return float("nan")
        return functional.semantic_entropy(self.token_logprobs(evidence), clusters)
