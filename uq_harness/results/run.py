"""One model on one task under one judge: what a run left behind, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uq_harness.functional import FloatArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TaskRun:
    """A model's judged answers to a task's questions, with one uncertainty score a method.

    Attributes:
        model: The model's name as lm_eval prints it, with ``@revision`` where it is not the main one.
        task: The task's name.
        judge: Name of the judge of correctness (lm_eval's filter).
        date: When the run started, in UTC; ``None`` where no file tells.
        path: The results file, or the samples file where there is no other.
        keys: Identity of each question and its references; the same in every run, whatever its order or ``--limit``.
        questions: The questions, as many as answers; a question asked twice is here twice.
        references: Accepted answers to each question.
        answers: The model's greedy answers.
        prompt_hashes: lm_eval's hash of each whole prompt; empty texts where a file has none.
        answer_tokens: Length of each answer in tokens, ``nan`` where unknown.
        correct: 1 for a right answer, 0 for a wrong one.
        correctness: The judge's score of each answer.
        uncertainty: Scores of each method, higher = more uncertain, ``nan`` where undefined.
        costs: Seconds and counts of each stage for each answer (``decode_seconds``, ``nli_pairs``, …).
        metrics: What lm_eval's results file says, such as ``auroc_semgrad`` and ``auroc_semgrad_stderr``.
        configuration: All else that the results file says: ``config``, ``configs``, ``versions``, …; empty if there is
            none. Arguments that may hold a secret are left out.
        unjudged: Keys of questions whose answers have no verdict, and which are left out above.
        samples: The samples file; ``None`` where there is none.
        offsets: Where in it each answer's line begins, in bytes.
    """

    model: str
    task: str
    judge: str
    date: datetime | None
    path: Path
    keys: tuple[str, ...]
    questions: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    answers: tuple[str, ...]
    prompt_hashes: tuple[str, ...]
    answer_tokens: FloatArray
    correct: IntArray
    correctness: FloatArray
    uncertainty: Mapping[str, FloatArray]
    costs: Mapping[str, FloatArray]
    metrics: Mapping[str, float]
    configuration: Mapping[str, Any]
    unjudged: tuple[str, ...] = ()
    samples: Path | None = None
    offsets: IntArray | None = None

    def __len__(self) -> int:
        """Number of answers; 0 for a run that logged no samples."""
        return len(self.keys)

    @property
    def duplicates(self) -> int:
        """How many answers are to a question that is further up, with the same references."""
        return len(self.keys) - len(set(self.keys))

    def first_rows(self) -> dict[str, int]:
        """Row of the first answer to each question, by the question's key."""
        rows: dict[str, int] = {}
        for row, key in enumerate(self.keys):
            rows.setdefault(key, row)
        return rows

    @property
    def reported_questions(self) -> int:
        """Number of answers that the results file tells; 0 where it tells none."""
        told = (self.configuration.get("n-samples") or {}).get(self.task) or {}
        count = told.get("effective")
        return count if isinstance(count, int) and not isinstance(count, bool) and 0 < count < 2**63 else 0

    @property
    def accuracy(self) -> float:
        """Share of right answers, ``nan`` without any."""
        return float(self.correct.mean()) if len(self) else float("nan")

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the task, lm_eval and transformers, as far as they are known."""
        known = {
            "task": (self.configuration.get("versions") or {}).get(self.task),
            "lm_eval": self.configuration.get("lm_eval_version"),
            "transformers": self.configuration.get("transformers_version"),
        }
        return {name: str(version) for name, version in known.items() if version is not None}

    @property
    def model_settings(self) -> Mapping[str, Any]:
        """What lm_eval and the model say of themselves: ``model_args``, ``model_dtype``, ``uncertainty``, …."""
        settings: Mapping[str, Any] = self.configuration.get("config") or {}
        return settings

    @property
    def task_settings(self) -> Mapping[str, Any]:
        """The task's configuration, with ``metadata``."""
        settings: Mapping[str, Any] = (self.configuration.get("configs") or {}).get(self.task) or {}
        return settings

    @property
    def judge_settings(self) -> Mapping[str, Any]:
        """The judge's name and options, empty where unknown."""
        judges = (self.task_settings.get("metadata") or {}).get("judges") or []
        return next((judge for judge in judges if judge.get("label", judge.get("name")) == self.judge), {})

    def take(self, rows: NDArray[Any]) -> TaskRun:
        """The run reduced to some answers.

        Args:
            rows: Indices, or a mask over the answers. Aggregated ``metrics`` are dropped, as they were of all answers.
        """
        chosen = np.arange(len(self))[rows]

        def texts(column: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(column[row] for row in chosen)

        return replace(
            self,
            keys=texts(self.keys),
            questions=texts(self.questions),
            references=texts(self.references),
            answers=texts(self.answers),
            prompt_hashes=texts(self.prompt_hashes),
            answer_tokens=self.answer_tokens[chosen],
            correct=self.correct[chosen],
            correctness=self.correctness[chosen],
            uncertainty={method: scores[chosen] for method, scores in self.uncertainty.items()},
            costs={stage: spent[chosen] for stage, spent in self.costs.items()},
            metrics={},
            offsets=None if self.offsets is None else self.offsets[chosen],
        )
