"""What an answer costs in money, from the prices that a user gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from uq_harness.evidence import Evidence, Need

_TOKENS = 1e6  # what prices are for


@dataclass(frozen=True)
class Prices:
    """Adds ``price`` to the cost of every answer, in the money of the prices.

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
        cost = dict(evidence.cost)
        read, written = cost.get("prompt_tokens", 0), cost.get("completion_tokens", 0)
        return {"cost": {**cost, "price": (read * self.prompt + written * self.completion) / _TOKENS}}
