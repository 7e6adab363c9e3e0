"""An answer that a model is to read in a second pass, and what it finds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from uq_harness.answering.replies import confidence_reply
from uq_harness.backends.saved.read import SavedAnswer
from uq_harness.evidence import Evidence
from uq_harness.files import plain
from uq_harness.methods import Method, scores
from uq_harness.models.agreement import Agreement


@dataclass(frozen=True)
class SecondPassOptions:
    """What the user asks of a second pass.

    Attributes:
        model: The model: a name on the hub, a folder, or ``demo``.
        model_args: Further arguments of ``uq-hf``, as for lm_eval's ``--model_args``.
        max_difference: Largest mean difference a token between recorded and computed log-probabilities; ``None`` for
            the usual one of the model's precision.
    """

    model: str
    model_args: str | None = None
    max_difference: float | None = None


@dataclass(frozen=True)
class Job:
    """An answer to read.

    Attributes:
        saved: The answer.
        methods: What is scored.
    """

    saved: SavedAnswer
    methods: tuple[Method, ...]

    @property
    def key(self) -> str:
        """Names the answer by all that its scores depend on, whatever file or line it stands in."""
        saved = self.saved
        content = {
            "question": [saved.question, saved.answer, saved.prompt],
            "tokens": None if saved.tokens is None else vars(saved.tokens),
            "logprobs": _listed(saved.logprobs),
            "sets": [
                {**one.conditions, "samples": [{**vars(s), "logprobs": _listed(s.logprobs)} for s in one.samples]}
                for one in saved.sets
            ],
            "methods": [method.name for method in self.methods],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Reading:
    """What the model found about one answer.

    Attributes:
        scores: Each method's score; ``nan`` where it is undefined.
        logprobs: Log-probability of each of the answer's tokens; ``None`` where memory did not hold the answer.
        entropies: Entropy of the distribution of each, in nats; likewise.
        cost: What it cost.
        confidence_reply: What the model replied when asked about the answer; ``None`` where it was not.
    """

    scores: Mapping[str, float]
    logprobs: list[float | None] | None
    entropies: list[float | None] | None
    cost: Mapping[str, float] = field(default_factory=dict)
    confidence_reply: str | None = None

    @classmethod
    def of(cls, evidence: Evidence, job: Job) -> Reading:
        """What the record needs of the evidence."""
        answer, tokens = evidence.answer, job.saved.tokens
        whole = tokens is not None and answer.token_ids == tokens.token_ids
        return cls(
            scores(job.methods, evidence),
            _listed(answer.logprobs) if whole else None,
            _listed(answer.entropies) if whole else None,
            evidence.recorded_cost,
            confidence_reply(evidence),
        )

    def as_json(self) -> dict[str, Any]:
        """The same as JSON has it."""
        found: dict[str, Any] = plain(vars(self))
        return found

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Reading:
        """The same from JSON."""
        known = {name: float("nan") if score is None else score for name, score in found["scores"].items()}
        return cls(known, found["logprobs"], found["entropies"], found["cost"], found.get("confidence_reply"))

    def agreement(self, saved: SavedAnswer) -> Agreement:
        """How well the model agrees with what was recorded."""
        return Agreement.between(
            saved.logprobs,
            None if self.logprobs is None else np.array(self.logprobs, dtype=np.float64),
            saved.place,
        )


def _listed(values: Any) -> list[float | None] | None:
    found: list[float | None] | None = None if values is None else plain(values.tolist())
    return found
