"""What every variant is scored from: one generation pass over a task, reduced to sizes of gradients; its file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uq_harness import __version__
from uq_harness.answering.identity import ModelIdentity
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import (
    Answer,
    Evidence,
    HeadGradient,
    Need,
    StateGradient,
    StateGradientNorms,
)
from uq_harness.files import user_path
from uq_harness.functional import FloatArray
from uq_harness.studies.sps.prompts import Position

IntArray = NDArray[np.int64]
# The key that marks the file; its value is the version of the file's layout.
FORMAT_KEY, FORMAT = "uq_harness_ablation", 1


@dataclass(frozen=True)
class AblationEvidence:
    """Sizes of all gradients of a task's greedy answers; arrays hold ``n`` answers.

    A first axis of two is the weighting of the answer's tokens: 0 plain, 1 by their entropies.

    Attributes:
        task: The task's name.
        judge: The judge of correctness.
        model: The model; its template is ``None`` where the prompts did not go through one.
        positions: The prompt's last tokens, in order; the last one is at ``-1``.
        documents: Number of each question in the task.
        correct: 1 for a right answer, 0 for a wrong one, ``nan`` where the judge came to no verdict, ``[n]``.
        correctness: The judge's scores, ``[n]``.
        semantic_token: Position of each prompt's semantic-preserving token, ``[n]``.
        mean_entropy: Mean entropy of each answer's tokens in nats, ``[n]``.
        head: Mean absolute value of the head's gradient, ``[2, n]``.
        absolute: Mean absolute value of the state gradients, ``[2, n, blocks, positions]``.
        squared: Mean square of the state gradients, of the same shape.
        methods: The scores that the run itself gave, by method, each ``[n]``.
    """

    task: str
    judge: str
    model: ModelIdentity
    positions: tuple[Position, ...]
    documents: IntArray
    correct: FloatArray
    correctness: FloatArray
    semantic_token: IntArray
    mean_entropy: FloatArray
    head: FloatArray
    absolute: FloatArray
    squared: FloatArray
    methods: Mapping[str, FloatArray]

    @property
    def n_blocks(self) -> int:
        """Number of the model's blocks, all of which are covered."""
        return int(self.absolute.shape[2])

    @property
    def name(self) -> str:
        """Task and judge, as in lm_eval's results."""
        return f"{self.task},{self.judge}"

    @property
    def file_name(self) -> str:
        """What its file is called."""
        return f"evidence_{self.task}_{self.judge}.npz"

    def judged(self) -> AblationEvidence:
        """The same about the answers that have a verdict.

        Raises:
            UQHarnessError: None has.
        """
        known = np.isfinite(self.correct)
        if not known.any():
            raise UQHarnessError(f"{self.name}: the judge came to no verdict on any answer, so nothing can be compared")
        rows = {name: getattr(self, name)[known] for name in _ROWS}
        paired = {name: getattr(self, name)[:, known] for name in _PAIRS}
        return replace(self, **rows, **paired, methods={name: one[known] for name, one in self.methods.items()})

    def column(self, position: int) -> int:
        """The place of a position on the last axis of the state gradients.

        Raises:
            UQHarnessError: The position is not covered.
        """
        if not -len(self.positions) <= position <= -1:
            raise UQHarnessError(
                f"{self.name} covers the prompts' last {len(self.positions)} tokens, and position {position} is not "
                "one of them: run the ablation with more --positions"
            )
        return len(self.positions) + position

    def of_answer(self, row: int, needs: Iterable[Need[Any]], position: int | None = None) -> Evidence:
        """The evidence about one answer, as an ordinary run would hand it to a method.

        Args:
            row: The answer.
            needs: What the method needs: head and state gradients.
            position: Which token is taken for the semantic-preserving one; the prompt's own where absent.
        """
        token = int(self.semantic_token[row]) if position is None else position
        values: dict[Need[Any], Any] = {}
        for need in needs:
            if isinstance(need, HeadGradient):
                values[need] = float(self.head[int(need.reweighted), row])
            elif isinstance(need, StateGradient):
                span = need.layers.resolve(self.n_blocks)
                at = (int(need.reweighted), row, slice(span.start, span.stop), self.column(token))
                values[need] = StateGradientNorms(self.absolute[at], self.squared[at])
        entropies = np.array([self.mean_entropy[row]])  # of all it holds only the mean is known
        answer = Answer("", (), np.array([]), entropies, complete=True)
        return Evidence("", answer, values, semantic_token=token)

    def write(self, folder: Path) -> Path:
        """Writes everything into one ``.npz`` file, so that it can be scored again without the model."""
        file = folder / self.file_name
        about = {
            FORMAT_KEY: FORMAT,
            "version": __version__,
            "task": self.task,
            "judge": self.judge,
            "model": asdict(self.model),
            "positions": [asdict(position) for position in self.positions],
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        methods = {f"{_METHOD}{name}": scores for name, scores in self.methods.items()}
        np.savez_compressed(file, allow_pickle=False, about=json.dumps(about, ensure_ascii=False), **arrays, **methods)
        return file

    @classmethod
    def read(cls, file: str | Path) -> AblationEvidence:
        """Reads what `write` has written.

        Raises:
            UQHarnessError: The file does not exist, or is none of that kind.
        """
        path = user_path(file, "evidence file")
        if not path.is_file():
            raise UQHarnessError(f"evidence file {str(path)!r} does not exist: give the .npz that an ablation writes")
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
                about = json.loads(str(content["about"]))
                if about[FORMAT_KEY] != FORMAT:
                    raise KeyError(FORMAT_KEY)
                return cls(
                    task=about["task"],
                    judge=about["judge"],
                    model=ModelIdentity(**about["model"]),
                    positions=tuple(Position(**position) for position in about["positions"]),
                    methods={
                        name.removeprefix(_METHOD): content[name] for name in content.files if name.startswith(_METHOD)
                    },
                    **{name: content[name] for name in _ARRAYS},
                )
        except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise UQHarnessError(
                f"evidence file {str(path)!r} is damaged, or was not written by this version's `uq-harness ablate` "
                f"({type(error).__name__}: {error}): run the ablation again"
            ) from error


_ROWS = ("documents", "correct", "correctness", "semantic_token", "mean_entropy")
_PAIRS = ("head", "absolute", "squared")  # their first axis is the weighting
_ARRAYS = (*_ROWS, *_PAIRS)
_METHOD = "method "
