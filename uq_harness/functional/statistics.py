"""Numbers of next-token distributions that scores read, each a function of a few sums over the vocabulary.

A backend keeps the sums that the chosen statistics read and no distribution. A new statistic is one class here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import FloatArray, check_positive

# A token is far likelier than the next one where their probabilities differ by more than both of these.
GAP_SHARE, GAP = 0.3, 0.005
# The i-th likeliest token has at most probability 1/i, so that behind this rank no two differ by more than GAP.
MOST_DOMINANT = round(1 / GAP)


@dataclass(frozen=True)
class DistributionSums:
    """What is kept of the distributions that an answer's tokens were taken from.

    Attributes:
        chosen: Log-probability of each token, ``[tokens]``, in nats.
        vocabulary: Number of tokens in the vocabulary; ``None`` where it is unknown.
        mean_logprobs: ``(1/V) Σ_v log p(v)``, ``[tokens]``.
        log_power_sums: For an exponent ``a`` the numbers ``log Σ_v p(v)^a``, ``[tokens]``.
        likeliest: Log-probabilities of the likeliest tokens, best first, ``[tokens, k]``.
    """

    chosen: FloatArray
    vocabulary: int | None = None
    mean_logprobs: FloatArray | None = None
    log_power_sums: Mapping[float, FloatArray] = field(default_factory=dict)
    likeliest: FloatArray | None = None

    @property
    def log_vocabulary(self) -> float:
        """``log V``."""
        assert self.vocabulary is not None
        return float(np.log(self.vocabulary))

    def log_power_sum(self, exponent: float) -> FloatArray:
        """``log Σ_v p(v)^a`` of each token's distribution."""
        return np.zeros(len(self.chosen)) if exponent == 1 else self.log_power_sums[exponent]

    def best(self, count: int) -> FloatArray:
        """Log-probabilities of the likeliest tokens, ``[tokens, count]``."""
        assert self.likeliest is not None
        return self.likeliest[:, :count]


class Statistic(ABC):
    """A number of each next-token distribution; a subclass is a frozen dataclass, equal ones are gathered once.

    Attributes:
        reads_mean: Whether it reads ``mean_logprobs``.
        reads_gaps: Whether it also reads the likeliest tokens down to `GAP` where the ``n_likeliest`` do not reach it.
    """

    reads_mean: bool = False
    reads_gaps: bool = False

    @property
    def powers(self) -> tuple[float, ...]:
        """The exponents whose power sums it reads."""
        return ()

    @property
    def n_likeliest(self) -> int:
        """How many of the likeliest tokens it reads."""
        return 0

    @property
    def reads_everything(self) -> bool:
        """Whether it takes a sum over the whole vocabulary."""
        return self.reads_mean or bool(self.powers)

    @abstractmethod
    def of(self, sums: DistributionSums) -> FloatArray:
        """The number for each token, ``[tokens]``; ``nan`` where the likeliest tokens that are known do not tell."""


@dataclass(frozen=True)
class MeanLogProb(Statistic):
    """``log V + (1/V) Σ_v log p(v)``: 0 for a flat distribution, far below for a peaked one."""

    reads_mean = True

    def of(self, sums: DistributionSums) -> FloatArray:
        """Nats, 0 at most."""
        assert sums.mean_logprobs is not None
        return sums.log_vocabulary + sums.mean_logprobs


@dataclass(frozen=True)
class Margin(Statistic):
    """``p_(1) - p_(2)``: by how much the likeliest token is likelier than the second."""

    @property
    def n_likeliest(self) -> int:
        """Two."""
        return 2

    def of(self, sums: DistributionSums) -> FloatArray:
        """From 0 to 1."""
        first, second = np.exp(sums.best(2)).T
        return np.asarray(first - second, dtype=np.float64)


@dataclass(frozen=True)
class DominantMass(Statistic):
    """The probability of the dominant tokens together if the token is one of them, else its own.

    Dominant are all tokens up to the last gap: the last rank ``i`` with ``p_(i) - p_(i+1)`` above ``0.3 p_(i)`` and
    above 0.005.
    """

    reads_gaps = True

    @property
    def n_likeliest(self) -> int:
        """A few: more are read where there may be more gaps."""
        return 16

    def of(self, sums: DistributionSums) -> FloatArray:
        """From 0 to 1; ``nan`` where a gap may lie behind the tokens that are known."""
        assert sums.likeliest is not None
        own, listed = np.exp(sums.chosen), np.exp(sums.likeliest)
        steps = listed[:, :-1] - listed[:, 1:]
        gaps = (steps > GAP_SHARE * listed[:, :-1]) & (steps > GAP)
        ranks = np.where(gaps, np.arange(1, steps.shape[1] + 1), 0).max(axis=1, initial=0)
        rows, last = np.arange(len(own)), np.maximum(ranks, 1) - 1
        after = listed[rows, np.minimum(last + 1, listed.shape[1] - 1)]
        dominant = (ranks > 0) & (own > (listed[rows, last] + after) / 2)  # halfway: free of rounding
        boosted = np.where(dominant, np.cumsum(listed, axis=1)[rows, last], own)
        known = (listed[:, -1] <= GAP) | (sums.vocabulary is not None and listed.shape[1] >= sums.vocabulary)
        unknown = np.isnan(sums.chosen) | np.isnan(listed).any(axis=1) | ~known
        return np.where(unknown, np.nan, boosted)


@dataclass(frozen=True)
class LikeliestEntropy(Statistic):
    """Entropy of the renormalised ``k`` likeliest tokens, over ``log k``.

    Raises:
        UQHarnessError: ``k`` is below 2, where there is nothing to be uncertain about.
    """

    top_k: int

    def __post_init__(self) -> None:
        if self.top_k < 2:
            raise UQHarnessError(f"top_k is {self.top_k!r}, but must be 2 or more")

    @property
    def n_likeliest(self) -> int:
        """``k``."""
        return self.top_k

    def of(self, sums: DistributionSums) -> FloatArray:
        """From 0 to 1."""
        best = sums.best(self.top_k)
        below = best - best[:, :1]
        weights = np.exp(below)
        total = weights.sum(axis=1)
        spread = (weights * np.where(np.isneginf(below), 0.0, below)).sum(axis=1)  # what cannot be has no share
        return np.asarray((np.log(total) - spread / total) / np.log(self.top_k), dtype=np.float64)


@dataclass(frozen=True)
class RenyiFromUniform(Statistic):
    """Rényi divergence from the flat distribution: ``log V - H_α(p^(1/τ))``, ``H_α = log(Σ_v p_v^α) / (1 - α)``.

    Raises:
        UQHarnessError: The order is not above 0, is 1 or infinite, or the temperature is not above 0.
    """

    order: float = 0.5
    temperature: float = 2.0

    def __post_init__(self) -> None:
        check_positive("order", self.order)
        check_positive("temperature", self.temperature)
        if self.order == 1 or np.isinf(self.order):
            raise UQHarnessError(
                f"order is {self.order!r}, where this divergence is undefined: use another number above 0"
            )

    @property
    def powers(self) -> tuple[float, ...]:
        """Those of the tempered distribution: its own normaliser's, and the order's."""
        return (1 / self.temperature, self.order / self.temperature)

    def of(self, sums: DistributionSums) -> FloatArray:
        """Nats, from 0 for a flat distribution to ``log V``."""
        normaliser, power = (sums.log_power_sum(exponent) for exponent in self.powers)
        return sums.log_vocabulary - (power - self.order * normaliser) / (1 - self.order)


@dataclass(frozen=True)
class FisherRaoFromUniform(Statistic):
    """Fisher-Rao distance from the flat distribution: ``(2/π) arccos Σ_v sqrt(p_v / V)``, of ``p^(1/τ)``.

    Raises:
        UQHarnessError: The temperature is not above 0.
    """

    temperature: float = 2.0

    def __post_init__(self) -> None:
        check_positive("temperature", self.temperature)

    @property
    def powers(self) -> tuple[float, ...]:
        """Those of the tempered distribution: its own normaliser's, and that of its square root."""
        return (1 / self.temperature, 0.5 / self.temperature)

    def of(self, sums: DistributionSums) -> FloatArray:
        """From 0 for a flat distribution to 1."""
        normaliser, root = (sums.log_power_sum(exponent) for exponent in self.powers)
        overlap = np.exp(root - normaliser / 2 - sums.log_vocabulary / 2)
        return np.asarray(2 / np.pi * np.arccos(np.minimum(overlap, 1.0)), dtype=np.float64)
