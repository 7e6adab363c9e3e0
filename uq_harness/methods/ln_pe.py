"""LN-PE: length-normalised predictive entropy."""

from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import Evidence, Need
from uq_harness.methods.base import register_method
from uq_harness.methods.samples import LikelihoodMethod, SamplesMethod
from uq_harness.methods.sets import SAMPLING


@register_method
@dataclass(frozen=True)
class LNPE(SamplesMethod, LikelihoodMethod):
    """``-(1/N) Σ_i l_i`` with ``l_i`` the mean token log-probability of sample ``i``."""

    name: ClassVar[str] = "ln_pe"
    title: ClassVar[str] = "LN-PE"
    source: ClassVar[str] = "Malinin and Gales 2021, arXiv 2002.07650"
    cost: ClassVar[str] = "10 samples"
    sets: ClassVar[frozenset[str]] = SAMPLING

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples."""
        return self.likelihoods()

    def score(self, evidence: Evidence) -> float:
        """Nats per token; ``nan`` where a sample has no tokens."""
        return functional.ln_pe(self.token_logprobs(evidence))
