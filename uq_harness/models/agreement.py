"""Does a model give the tokens of an answer the log-probabilities that were recorded when it was written?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from uq_harness.errors import UQHarnessError
from uq_harness.functional import FloatArray

# Largest mean difference a token. Engines differ by 1e-5 in float32 and by 6e-3 in bfloat16 (measured on vLLM 0.32).
BOUND, BOUND_IN_16_BITS = 0.001, 0.05
# As many times that is allowed in one answer, whose tokens may be few and unlikely: an answer of another model or
# question is nats away.
IN_ONE_ANSWER = 20


@dataclass(frozen=True)
class Bounds:
    """What difference is allowed.

    Attributes:
        mean: Largest mean difference a token over all answers.
        exact: Whether every token must have a log-probability: in 16-bit types numbers may overflow.
    """

    mean: float
    exact: bool

    @classmethod
    def of(cls, dtype: torch.dtype, mean: float | None = None) -> Bounds:
        """The usual bounds for a precision, or another mean.

        >>> Bounds.of(torch.bfloat16), Bounds.of(torch.float32, 0.01)
        (Bounds(mean=0.05, exact=False), Bounds(mean=0.01, exact=True))
        """
        exact = dtype not in (torch.bfloat16, torch.float16)
        return cls((BOUND if exact else BOUND_IN_16_BITS) if mean is None else mean, exact)

    @property
    def of_one(self) -> float:
        """Largest mean difference a token of one answer."""
        return IN_ONE_ANSWER * self.mean


@dataclass(frozen=True)
class Agreement:
    """Differences between recorded and computed log-probabilities, in nats.

    Attributes:
        tokens: Number of tokens with both.
        total: Sum of the absolute differences.
        worst: The largest one.
        unknown: Number of tokens with a recorded log-probability for which the model gives none (NaN).
        farthest: The largest mean difference a token of one answer, and where that stands; ``None`` for no answer.
        unknown_place: Where the first answer with an unknown token stands; likewise.
    """

    tokens: int = 0
    total: float = 0.0
    worst: float = 0.0
    unknown: int = 0
    farthest: tuple[float, str] | None = None
    unknown_place: str | None = None

    @classmethod
    def between(cls, recorded: FloatArray | None, computed: FloatArray | None, place: str) -> Agreement:
        """The differences of one answer's tokens; none where one of the two is not there.

        >>> found = Agreement.between(np.array([-0.5, -1.0]), np.array([-0.25, np.nan]), "line 1")
        >>> found.tokens, found.total, found.farthest, found.unknown, found.unknown_place
        (1, 0.25, (0.25, 'line 1'), 1, 'line 1')
        """
        if recorded is None or computed is None or len(recorded) != len(computed):
            return cls()
        told = np.isfinite(recorded)
        both = told & np.isfinite(computed)
        differences = np.abs(recorded[both] - computed[both])
        unknown = int((told & ~both).sum())
        return cls(
            tokens=int(both.sum()),
            total=float(differences.sum()),
            worst=float(differences.max(initial=0.0)),
            unknown=unknown,
            farthest=(float(differences.mean()), place) if both.any() else None,
            unknown_place=place if unknown else None,
        )

    @classmethod
    def over(cls, parts: Iterable[Agreement]) -> Agreement:
        """Those of several answers together."""
        parts = tuple(parts)
        return cls(
            sum(one.tokens for one in parts),
            math.fsum(one.total for one in parts),
            max((one.worst for one in parts), default=0.0),
            sum(one.unknown for one in parts),
            max((one.farthest for one in parts if one.farthest is not None), default=None),
            next((one.unknown_place for one in parts if one.unknown_place is not None), None),
        )

    @property
    def mean(self) -> float:
        """Mean difference a token; ``nan`` where nothing could be compared."""
        return self.total / self.tokens if self.tokens else math.nan

    def check(self, bounds: Bounds, answers: str) -> None:
        """Refuses a model that is not the one that answered.

        Args:
            bounds: What difference is allowed.
            answers: Which answers were compared, for the message.

        Raises:
            UQHarnessError: The difference is larger, over all answers or in one of them, or the model gives no numbers.
        """
        found = self._too_far(bounds)
        if found is None:
            return
        raise UQHarnessError(
            f"the model does not give {answers} the log-probabilities that were recorded: they differ {found}. So its "
            "gradients and states would be those of another model. Likely causes: another revision or other weights "
            "(--model_args revision=...), another precision or a server that runs quantised weights (--model_args "
            "dtype=...), tokens of another tokenizer or prompts of another chat template, answers that do not belong "
            "to their questions, or log-probabilities that were recorded after temperature. If the difference is "
            "known and small, --max_difference allows more"
        )

    def _too_far(self, bounds: Bounds) -> str | None:
        """What is not allowed, in words; ``None`` for nothing."""
        if self.unknown and (bounds.exact or not self.tokens):
            return f"in {self.unknown} tokens, for which it gives NaN, first in {self.unknown_place}"
        mean, place = self.farthest or (0.0, "")
        if self.mean > bounds.mean:
            told = f"by {self.mean:.3g} a token on average, {self.worst:.3g} at most, and farthest in {place}"
            return f"{told}; {bounds.mean:g} on average is allowed"
        if mean > bounds.of_one:
            return f"in {place} by {mean:.3g} a token on average; {bounds.of_one:g} is allowed in one answer"
        return None

    def describe(self, bounds: Bounds) -> dict[str, Any]:
        """The differences, for the results' configuration."""
        mean = None if math.isnan(self.mean) else self.mean
        return {"mean": mean, "worst": self.worst, "tokens": self.tokens, "allowed_mean": bounds.mean}
