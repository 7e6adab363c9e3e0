"""Diverse beam search with groups of one beam: greedy search under a penalty for what earlier groups have just used.

It gives the sequences of transformers' group beam search in their order (Vijayakumar et al. 2018, Hamming diversity).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uq_harness.engine.lanes import BoolArray, IntArray
from uq_harness.evidence import DiverseBeams

FloatArray = NDArray[np.float32]  # the precision in which transformers adds scores


class Beams:
    """The lanes of one diverse beam search, its groups side by side for each prompt.

    Attributes:
        sampler: The search.
        lanes: Their numbers.
        totals: Sum of each group's penalised log-probabilities, ``[prompts, groups]``.
    """

    def __init__(self, lanes: IntArray, sampler: DiverseBeams, end_ids: Iterable[int], pad_id: int) -> None:
        self.sampler, self.lanes = sampler, lanes
        self.totals: FloatArray = np.zeros((len(lanes) // sampler.groups, sampler.groups), dtype=np.float32)
        self._penalty, self._ends, self._pad = np.float32(sampler.penalty), np.array(sorted(end_ids)), pad_id

    def __call__(self, scores: Tensor, row: IntArray, live: BoolArray, step: int) -> Tensor:
        """The next token of every live lane; arguments as in `Draws`."""
        rows, where = np.unique(row[live], return_inverse=True)
        on_rows = scores.index_select(0, torch.as_tensor(rows, device=scores.device)).float()
        # at most groups - 1 tokens are penalised, so the best few are among the best few and groups - 1 more
        few = max(2, 1 + len(self._ends)) + self.totals.shape[1] - 1
        best, ids = on_rows.topk(min(few, scores.shape[-1]))
        best = best - on_rows.logsumexp(-1, keepdim=True)
        slots = np.zeros(len(row), dtype=np.int64)
        slots[live] = where
        groups, alive = slots.reshape(self.totals.shape), live.reshape(self.totals.shape)
        tokens = self._step(ids.cpu().numpy()[groups], best.cpu().numpy()[groups], alive)
        return torch.as_tensor(tokens.reshape(-1)[live], device=scores.device)

    def _step(self, ids: IntArray, logprobs: FloatArray, live: BoolArray) -> IntArray:
        """One token a group from its candidates, ``[prompts, groups, candidates]``; group after group.

        For the penalty a group counts as having used its best token that is no end token, even where it ends; a group
        that has ended counts as using the padding token.
        """
        chosen, used = np.zeros(live.shape, dtype=np.int64), np.zeros(live.shape, dtype=np.int64)
        ends = np.isin(ids, self._ends)
        for group in range(live.shape[1]):
            times = (ids[:, group, :, None] == used[:, None, :group]).sum(-1).astype(np.float32)
            total = (logprobs[:, group] - self._penalty * times) + self.totals[:, group, None]
            order = np.argsort(-total, axis=-1, kind="stable")
            ranked = np.take_along_axis(ids[:, group], order, -1)
            first = np.take_along_axis(total, order[:, :1], -1)[:, 0]
            other = np.take_along_axis(ends[:, group], order, -1).argmin(-1)
            alive = live[:, group]
            chosen[:, group] = ranked[:, 0]
            used[:, group] = np.where(alive, np.take_along_axis(ranked, other[:, None], -1)[:, 0], self._pad)
            self.totals[:, group] = np.where(alive, first, self.totals[:, group])
        return chosen

    def order(self, prompt: int, lengths: Sequence[int]) -> list[int]:
        """A prompt's groups, best first: by the mean over the tokens, and of equal ones the later group."""
        scores = [float(total) / length for total, length in zip(self.totals[prompt], lengths, strict=True)]
        return sorted(range(len(scores)), key=lambda group: (-scores[group], -group))
