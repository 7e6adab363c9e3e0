"""What the methods share that read a number of every distribution that the answer's tokens were taken from."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness.evidence import Evidence, Need, TokenStatistic
from uq_harness.functional import FloatArray
from uq_harness.functional.statistics import Statistic
from uq_harness.methods.base import Method
from uq_harness.methods.options import positive
from uq_harness.methods.sets import CHEAP


@dataclass(frozen=True)
class DistributionMethod(Method):
    """A method on one number of each token's distribution."""

    sets: ClassVar[frozenset[str]] = CHEAP

    @property
    @abstractmethod
    def statistic(self) -> Statistic:
        """The number."""

    def needs(self) -> tuple[Need[Any], ...]:
        """The number of each token's distribution."""
        return (TokenStatistic(self.statistic),)

    def each(self, evidence: Evidence) -> FloatArray:
        """The number of each token's distribution, ``[tokens]``."""
        return evidence[TokenStatistic(self.statistic)]

    def mean(self, evidence: Evidence) -> float:
        """Its mean over the answer; ``nan`` for an answer without tokens."""
        each = self.each(evidence)
        return float(each.mean()) if len(each) else float("nan")


@dataclass(frozen=True)
class TemperedDistributionMethod(DistributionMethod):
    """A method on distances from the flat distribution, which a temperature above 1 keeps from saturating."""

    uniform_temperature: float = positive(
        2.0, meaning="what divides the logits before renyi_divergence and fisher_rao compare with a flat distribution"
    )
