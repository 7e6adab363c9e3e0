"""What an answer costs in money, from the prices that a user gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from uq_harness.evidence import Evidence, Need

_TOKENS = 1e6  # what prices are for


@dataclass(frozen=True)
class Prices:
    """Adds ``price`` to the cost of every answer, in the money of the prices.

    The price is that of all requests about the answer; ``kept_price`` is the part of it that earlier runs paid, whose
    replies a journal had.

    Attributes:
        prompt: The price of a million tokens of prompts.
        completion: The price of a million tokens that the model writes.
    """

    prompt: float
    completion: float

    def needs(self) -> tuple[Need[Any], ...]:
        """Nothing."""
        return ()

    def record(self, evidence: Evidence) -> dict[str, Any]:
        """The cost with the price in it."""
        cost = evidence.recorded_cost
        now = self._of(cost, "prompt_tokens", "completion_tokens")
        kept = self._of(cost, "kept_prompt_tokens", "kept_completion_tokens")
        return {"cost": {**cost, "price": now + kept, "kept_price": kept}}

    def describe(self) -> dict[str, float]:
        """The prices, for the stamp of a response cache: its records have prices of answers."""
        return {"prompt_price": self.prompt, "completion_price": self.completion}

    def _of(self, cost: Mapping[str, float], read: str, written: str) -> float:
        return (cost.get(read, 0) * self.prompt + cost.get(written, 0) * self.completion) / _TOKENS
