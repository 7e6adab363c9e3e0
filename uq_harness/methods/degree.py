"""Deg: how loosely the samples hang together."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from uq_harness import functional
from uq_harness.evidence import ENTAILMENT, Evidence, Need, PairwiseEntailment, Samples
from uq_harness.methods.base import register_method
from uq_harness.methods.options import likeliest, mass
from uq_harness.methods.samples import SharedSamplesMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class Degree(SharedSamplesMethod):
    """``1 - mean(W)``, ``W_ij`` the mean of both directions' ``P(entail)`` and ``W_ii = 1``."""

    name: ClassVar[str] = "degree"
    title: ClassVar[str] = "Deg"
    source: ClassVar[str] = "Lin et al. 2023, arXiv 2305.19187"
    cost: ClassVar[str] = "10 samples, NLI between all pairs"
    sets: ClassVar[frozenset[str]] = SAMPLING
    sampling: ClassVar[bool] = True

    degree_top_p: float = mass(1.0, meaning="mass of the likeliest tokens that are drawn from")
    degree_top_k: int = likeliest(0, meaning="number of the likeliest tokens drawn from, 0 for all")

    @property
    def samples(self) -> Samples:
        """The set."""
        return Samples(self.entropy_samples, self.entropy_temperature, self.degree_top_p, self.degree_top_k)

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples and the entailment between them."""
        return (self.samples, PairwiseEntailment(self.samples))

    def score(self, evidence: Evidence) -> float:
        """From 0 (all say the same) to ``1 - 1/N``; ``nan`` where a pair has no probabilities."""
        forward = evidence[PairwiseEntailment(self.samples)][..., ENTAILMENT]
        weights = (forward + forward.T) / 2
        np.fill_diagonal(weights, 1.0)
        return functional.degree(weights)
