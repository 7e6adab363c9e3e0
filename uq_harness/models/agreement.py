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


@dataclass(frozen=True)
class Agreement:
    """Differences between recorded and computed log-probabilities, in nats.

    Attributes:
        tokens: Number of tokens with both.
        total: Sum of the absolute differences.
        worst: The largest one.
        unknown: Number of tokens with a recorded log-probability for which the model gives none (NaN).
    """

    tokens: int = 0
    total: float = 0.0
    worst: float = 0.0
    unknown: int = 0

    @classmethod
    def between(cls, recorded: FloatArray | None, computed: FloatArray | None) -> Agreement:
        """The differences of one answer's tokens; none where one of the two is not there.

        >>> Agreement.between(np.array([-0.5, -1.0]), np.array([-0.25, np.nan]))
        Agreement(tokens=1, total=0.25, worst=0.25, unknown=1)
        """
        if recorded is None or computed is None or len(recorded) != len(computed):
            return cls()
        told = np.isfinite(recorded)
        both = told & np.isfinite(computed)
        differences = np.abs(recorded[both] - computed[both])
        return cls(
            tokens=int(both.sum()),
            total=float(differences.sum()),
            worst=float(differences.max(initial=0.0)),
            unknown=int((told & ~both).sum()),
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
        )

    @property
    def mean(self) -> float:
        """Mean difference a token; ``nan`` where nothing could be compared."""
        return self.total / self.tokens if self.tokens else math.nan

    def check(self, bound: float, answers: str) -> None:
        """Refuses a model that is not the one that answered.

        Args:
            bound: The largest mean difference that is allowed.
            answers: Which answers were compared, for the message.

        Raises:
            UQHarnessError: The mean is larger, or the model gives no numbers.
        """
        if self.mean <= bound or not (self.tokens or self.unknown):
            return
        found = (
            f"by {self.mean:.3g} a token on average, {self.worst:.3g} at most; {bound:g} on average is allowed"
            if self.tokens
            else "in all tokens, for which it gives NaN"
        )
        raise UQHarnessError(
            f"the model does not give {answers} the log-probabilities that were recorded: they differ {found}. So its "
            "gradients and states would be those of another model. Likely causes: another revision or other weights "
            "(--model-args revision=...), another precision or a server that runs quantised weights (--model-args "
            "dtype=...), tokens of another tokenizer or prompts of another chat template, answers that do not belong "
            "to their questions, or log-probabilities that were recorded after temperature. If the difference is "
            "known and small, --max-difference allows more"
        )

    def describe(self, bound: float) -> dict[str, Any]:
        """The differences, for the results' configuration."""
        mean = None if math.isnan(self.mean) else self.mean
        return {"mean": mean, "worst": self.worst, "tokens": self.tokens, "allowed_mean": bound}


def bound_for(dtype: torch.dtype) -> float:
    """The largest mean difference a token that is allowed in a precision."""
    return BOUND_IN_16_BITS if dtype in (torch.bfloat16, torch.float16) else BOUND
