"""The graph of samples that the methods of Lin et al. read: its weights, and the option that chooses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from uq_harness import functional
from uq_harness.evidence import CONTRADICTION, ENTAILMENT, Evidence, Need, PairwiseEntailment, SampleSet
from uq_harness.functional import FloatArray
from uq_harness.methods.base import Method
from uq_harness.methods.options import choice
from uq_harness.methods.samples import SamplesMethod

WORDS = "jaccard"


@dataclass(frozen=True)
class GraphOption(Method):
    """The option that says what joins two samples."""

    graph: str = choice(
        "entailment",
        "entailment",
        "contradiction",
        WORDS,
        meaning="weights of the samples' graph in degree, eigenvalue_laplacian and eccentricity: probability of "
        "entailment, 1 - that of contradiction, or overlap of words, which asks no NLI model",
    )

    def needs_of(self, samples: SampleSet) -> tuple[Need[Any], ...]:
        """The samples, and the NLI probabilities between them where the graph is made of those."""
        return (samples,) if self.graph == WORDS else (samples, PairwiseEntailment(samples))

    def graph_of(self, samples: SampleSet, evidence: Evidence) -> FloatArray:
        """The symmetric weights, shape ``[n, n]``, 1 on the diagonal."""
        if self.graph == WORDS:
            return functional.word_overlap([sample.text for sample in evidence[samples]])
        pairs = evidence[PairwiseEntailment(samples)]
        return _both_ways(pairs[..., ENTAILMENT] if self.graph == "entailment" else 1 - pairs[..., CONTRADICTION])


@dataclass(frozen=True)
class GraphMethod(SamplesMethod, GraphOption):
    """A method on the graph of the samples at temperature 1; two equal texts have the weight 1, whatever NLI says."""

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples, and what their graph is made of."""
        return self.needs_of(self.samples)

    def weights(self, evidence: Evidence) -> FloatArray:
        """The symmetric weights, shape ``[n, n]``."""
        return _equal_joined(self.graph_of(self.samples, evidence), self.samples, evidence)


def entailment_graph(samples: SampleSet, evidence: Evidence) -> FloatArray:
    """The graph whose weights are the mean of both directions' ``P(entail)``, and 1 for two equal texts.

    Returns:
        Symmetric weights, shape ``[n, n]``, 1 on the diagonal; ``nan`` where a pair has no probabilities.
    """
    return _equal_joined(_both_ways(evidence[PairwiseEntailment(samples)][..., ENTAILMENT]), samples, evidence)


def _both_ways(weights: FloatArray) -> FloatArray:
    weights = (weights + weights.T) / 2
    np.fill_diagonal(weights, 1.0)
    return np.asarray(weights, dtype=np.float64)


def _equal_joined(weights: FloatArray, samples: SampleSet, evidence: Evidence) -> FloatArray:
    texts = np.array([sample.text for sample in evidence[samples]], dtype=object)
    return np.where(texts[:, None] == texts[None, :], 1.0, weights)
