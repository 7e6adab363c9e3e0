"""Kernel language entropy: von Neumann entropy of the heat kernel of the samples' graph."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence, Need, PairwiseEntailment
from uq_harness.methods.base import register_method
from uq_harness.methods.entailment import mutual_support
from uq_harness.methods.options import flag, positive
from uq_harness.methods.samples import SamplesMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class KernelLanguageEntropy(SamplesMethod):
    """``-Σ μ log μ / log N`` over the eigenvalues of ``exp(-time · L)``, scaled to a diagonal of ``1/N``."""

    name: ClassVar[str] = "kernel_language_entropy"
    title: ClassVar[str] = "Kernel language entropy"
    source: ClassVar[str] = "Nikitin et al. 2024, arXiv 2405.20003"
    cost: ClassVar[str] = "10 samples, NLI between all pairs"
    sets: ClassVar[frozenset[str]] = SAMPLING

    kernel_time: float = positive(0.3, meaning="how long heat spreads in kernel_language_entropy")
    kernel_soft: bool = flag(
        False, meaning="weights of kernel_language_entropy: expected ones (true), or the likeliest label's (false)"
    )

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples and the NLI probabilities between them."""
        return (self.samples, PairwiseEntailment(self.samples))

    def score(self, evidence: Evidence) -> float:
        """From about 0 to 1; ``nan`` where a pair has no probabilities."""
        weights = mutual_support(evidence[PairwiseEntailment(self.samples)], expected=self.kernel_soft)
        return functional.kernel_language_entropy(weights, self.kernel_time)
