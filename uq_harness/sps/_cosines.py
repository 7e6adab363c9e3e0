"""Mean cosines of all pairs, from running sums: memory does not depend on the number of questions.

The mean of ``u_i · u_j`` over all pairs of ``n`` unit vectors is ``(|Σu|² - n) / (n (n - 1))``, so one sum over the
questions, and one over the prompts of the question at hand, are all that is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from uq_harness.functional import FloatArray


@dataclass(frozen=True)
class Segment:
    """Consecutive prompts of one question within a batch.

    Attributes:
        question: The question's number.
        rows: Number of prompts.
    """

    question: int
    rows: int


@dataclass(frozen=True)
class UnitSums:
    """What a batch adds.

    Attributes:
        segments: The batch's prompts by question.
        all_prompts: Sum of the unit vectors of each segment, ``[segments, layers, positions, width]``, float64.
        questions: Sum of the unit vectors of the batch's prompts that are no paraphrases, ``[layers, positions,
            width]``, float64.
    """

    segments: Sequence[Segment]
    all_prompts: Tensor
    questions: Tensor


class CosineSums:
    """Gathers the sums of one data set, whose prompts come question by question.

    Args:
        sizes: For each question the number of its prompts, itself and its paraphrases.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._seen = 0
        self._open: Tensor | float = 0.0
        self._within: Tensor | float = 0.0
        self._questions: Tensor | float = 0.0

    def add(self, sums: UnitSums) -> None:
        """Adds a batch."""
        self._questions = self._questions + sums.questions
        for segment, units in zip(sums.segments, sums.all_prompts, strict=True):
            self._open = self._open + units
            self._seen += segment.rows
            if self._seen == self._sizes[segment.question]:
                self._within = self._within + mean_of_pairs(self._open, self._seen)
                self._open, self._seen = 0.0, 0

    def means(self) -> tuple[FloatArray, FloatArray]:
        """Mean cosine within questions (mean over questions) and between them, each ``[layers, positions]``."""
        assert isinstance(self._within, Tensor)
        assert isinstance(self._questions, Tensor)
        count = len(self._sizes)
        between = mean_of_pairs(self._questions, count)
        return (self._within / count).cpu().numpy(), between.cpu().numpy()


def mean_of_pairs(total: Tensor | float, count: int) -> Tensor:
    """Mean cosine over all pairs of ``count`` unit vectors, from their sum over the last dimension.

    >>> import torch
    >>> mean_of_pairs(torch.tensor([[2.0, 0.0], [1.0, 1.0]]), 2)
    tensor([1., 0.])
    """
    assert isinstance(total, Tensor)
    return (total.square().sum(-1) - count) / (count * (count - 1))
