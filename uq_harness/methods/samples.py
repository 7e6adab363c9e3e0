"""What several methods share: options of sample sets that serve more than one of them, and how to read samples."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from uq_harness import functional
from uq_harness.evidence import AnswerSimilarity, DrawLogProbs, Evidence, Need, SampleLogProbs, Samples
from uq_harness.functional import FloatArray
from uq_harness.methods.base import Method
from uq_harness.methods.options import choice, likeliest, mass, positive, whole


@dataclass(frozen=True)
class _SharedTemperature(Method):
    entropy_temperature: float = positive(
        1.0, meaning="temperature of the samples that ln_pe, degree, the SAR family and all on the same samples read"
    )


@dataclass(frozen=True)
class SharedSamplesMethod(_SharedTemperature):
    """A method on the samples at temperature 1, drawn once for all whose laws are the same."""

    entropy_samples: int = whole(10, meaning="number of samples of ln_pe, degree and all on the same samples")


@dataclass(frozen=True)
class SamplesMethod(SharedSamplesMethod):
    """A method on the samples that LN-PE and the semantic entropies read, drawn once for all of them.

    The base class for methods of other packages that read samples: what it needs is ``self.samples``, and what the
    samples are is in ``evidence[self.samples]``.
    """

    sampling: ClassVar[bool] = True

    entropy_top_p: float = mass(
        1.0, meaning="mass of the likeliest tokens that samples of ln_pe and all on the same samples are drawn from"
    )
    entropy_top_k: int = likeliest(
        0,
        meaning="number of the likeliest tokens that samples of ln_pe and all on the same samples are drawn from, 0 "
        "for all",
    )

    @property
    def samples(self) -> Samples:
        """The set."""
        return Samples(self.entropy_samples, self.entropy_temperature, self.entropy_top_p, self.entropy_top_k)


@dataclass(frozen=True)
class DissimilarityMethod(SharedSamplesMethod):
    """A method that reads how little the samples resemble the greedy answer."""

    @property
    def samples(self) -> Samples:
        """The set."""
        return Samples(self.entropy_samples, self.entropy_temperature)

    def comparisons(self) -> tuple[Need[Any], ...]:
        """The samples and their similarity to the greedy answer."""
        return (self.samples, AnswerSimilarity(self.samples))

    def times_dissimilarity(self, uncertainty: float, evidence: Evidence) -> float:
        """An uncertainty of the greedy answer times the samples' dissimilarity from it; see `functional.cocoa`."""
        return functional.cocoa(uncertainty, evidence[AnswerSimilarity(self.samples)])


@dataclass(frozen=True)
class LikelihoodMethod(Method):
    """A method that reads the likelihood of samples: under the model, or under the law that they were drawn from."""

    sample_logprobs: str = choice(
        "model",
        "model",
        "sampled",
        meaning="log-probabilities of samples: the model's own (model), or those of the law they were drawn from, "
        "tempered and cut off at top-k and top-p (sampled)",
    )

    @property
    @abstractmethod
    def samples(self) -> Samples:
        """The set."""

    @property
    def sampled(self) -> bool:
        """Whether the law of the draw is meant."""
        return self.sample_logprobs == "sampled"

    def likelihoods(self) -> tuple[Need[Any], ...]:
        """The samples with the log-probabilities that are meant."""
        return (self.samples, self._logprobs)

    def token_logprobs(self, evidence: Evidence) -> Sequence[FloatArray]:
        """The log-probabilities of each sample's tokens, in nats."""
        return evidence[self._logprobs]

    @property
    def _logprobs(self) -> DrawLogProbs | SampleLogProbs:
        return DrawLogProbs(self.samples) if self.sampled else SampleLogProbs(self.samples)


@dataclass(frozen=True)
class SARSamplesMethod(LikelihoodMethod, _SharedTemperature):
    """One of the SAR family; its samples are the first few of those at temperature 1."""

    sar_samples: int = whole(5, meaning="number of samples of sar, token_sar and sentence_sar")
    sar_top_p: float = mass(1.0, meaning="mass of the likeliest tokens that samples of the SAR family are drawn from")
    sar_top_k: int = likeliest(
        0, meaning="number of the likeliest tokens that samples of the SAR family are drawn from, 0 for all"
    )

    @property
    def samples(self) -> Samples:
        """The set."""
        return Samples(self.sar_samples, self.entropy_temperature, self.sar_top_p, self.sar_top_k)


@dataclass(frozen=True)
class ShiftedSARMethod(SARSamplesMethod):
    """One of the SAR family that lets samples gain the probability of those that resemble them."""

    sar_shift_temperature: float = positive(
        1e-3, meaning="the smaller, the more samples that resemble one count beside it in sar and sentence_sar"
    )
