"""What may be written into an answer's record beside the scores."""

from __future__ import annotations

from typing import Any, Protocol

from uq_harness.evidence import Evidence, Need


class Recorder(Protocol):
    """Adds fields to the record of every answer; like a method, it says what it needs and never calls a model."""

    def needs(self) -> tuple[Need[Any], ...]:
        """What must be gathered beyond the greedy answer itself."""

    def record(self, evidence: Evidence) -> dict[str, Any]:
        """The fields and their values."""
