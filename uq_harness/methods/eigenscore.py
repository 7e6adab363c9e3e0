"""EigenScore: how widely the samples' hidden states spread."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence, Need, Samples, SampleStates
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.options import likeliest, mass, positive, whole
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class EigenScore(Method):
    """``(1/N) log det(Σ + αI)``, ``Σ`` the covariance between the samples' states in the middle of the model."""

    name: ClassVar[str] = "eigenscore"
    title: ClassVar[str] = "EigenScore"
    source: ClassVar[str] = "INSIDE: Chen et al. 2024, arXiv 2402.03744"
    cost: ClassVar[str] = "10 samples"
    sets: ClassVar[frozenset[str]] = SAMPLING
    sampling: ClassVar[bool] = True

    eigenscore_samples: int = whole(10, meaning="number of samples")
    eigenscore_temperature: float = positive(0.5, meaning="temperature of the samples")
    eigenscore_top_p: float = mass(0.99, meaning="mass of the likeliest tokens that are drawn from")
    eigenscore_top_k: int = likeliest(5, meaning="number of the likeliest tokens drawn from, 0 for all")
    eigenscore_alpha: float = positive(1e-3, meaning="what is added to every eigenvalue")

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples and their states."""
        return (self._samples, SampleStates(self._samples))

    def score(self, evidence: Evidence) -> float:
        """Nats, any sign; ``nan`` where a state is not finite."""
        return functional.eigenscore(evidence[SampleStates(self._samples)], self.eigenscore_alpha)

    @property
    def _samples(self) -> Samples:
        return Samples(
            self.eigenscore_samples,
            self.eigenscore_temperature,
            top_p=self.eigenscore_top_p,
            top_k=self.eigenscore_top_k,
        )
