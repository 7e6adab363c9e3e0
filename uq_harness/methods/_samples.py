"""Options of sample sets that serve more than one method."""

from __future__ import annotations

from dataclasses import dataclass

from uq_harness.evidence import Samples
from uq_harness.methods._base import Method
from uq_harness.methods._options import positive, whole


@dataclass(frozen=True)
class _SharedTemperature(Method):
    entropy_temperature: float = positive(
        1.0, meaning="temperature of the samples of ln_pe, both semantic entropies, degree and the three of SAR"
    )


@dataclass(frozen=True)
class EntropySamplesMethod(_SharedTemperature):
    """A method on the samples at temperature 1, drawn once for all of them."""

    entropy_samples: int = whole(10, meaning="number of samples of ln_pe, both semantic entropies and degree")

    @property
    def samples(self) -> Samples:
        """The set."""
        return Samples(self.entropy_samples, self.entropy_temperature)


@dataclass(frozen=True)
class SARSamplesMethod(_SharedTemperature):
    """One of the SAR family; its samples are the first few of those at temperature 1."""

    sar_samples: int = whole(5, meaning="number of samples of sar, token_sar and sentence_sar")

    @property
    def samples(self) -> Samples:
        """The set."""
        return Samples(self.sar_samples, self.entropy_temperature)


@dataclass(frozen=True)
class ShiftedSARMethod(SARSamplesMethod):
    """One of the SAR family that lets samples gain the probability of those that resemble them."""

    sar_shift_temperature: float = positive(
        1e-3, meaning="the smaller, the more samples that resemble one count beside it in sar and sentence_sar"
    )
