"""Diverse beam search with groups of one beam: greedy search under a penalty for what earlier groups have just used.

It gives the sequences of transformers' group beam search in their order (Vijayakumar et al. 2018, Hamming diversity).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uq_harness.backends.transformers.forward import in_float64
from uq_harness.backends.transformers.sequences import BoolArray, IntArray
from uq_harness.evidence import DiverseBeams

Float32Array = NDArray[np.float32]  # the precision in which transformers adds scores


class Beams:
    """The sequences of one diverse beam search, its groups side by side for each prompt.

    Args:
        sampler: The search.
        place: Numbers of its sequences within a slot.
        slots: Number of slots.
        end_ids: Tokens that end an answer.
        pad_id: Token that fills the padding.
        temperature: Divides the logits before the tokens' log-probabilities are told; ``None`` where they need not be.

    Attributes:
        sampler: The search.
        place: Numbers of its sequences within a slot.
    """

    def __init__(
        self,
        sampler: DiverseBeams,
        place: IntArray,
        slots: int,
        end_ids: Iterable[int],
        pad_id: int,
        temperature: float | None = None,
    ) -> None:
        self.sampler, self.place, self._temperature = sampler, place, temperature
        # sum of each group's penalised log-probabilities
        self._totals: Float32Array = np.zeros((slots, sampler.groups), dtype=np.float32)
        self._penalty, self._ends, self._pad = np.float32(sampler.penalty), np.array(sorted(end_ids)), pad_id

    def admit(self, slot: int, prompt: Sequence[int]) -> None:
        """Begins a prompt's search."""
        self._totals[slot] = 0

    def has(self, places: IntArray) -> BoolArray:
        """Which sequences, by their numbers within a slot, belong to the search."""
        return np.isin(places, self.place)

    def __call__(
        self, scores: Tensor, slot: IntArray, place: IntArray, prefix: IntArray, step: IntArray
    ) -> tuple[Tensor, Tensor | None]:
        """The next token of all live sequences of some slots, and where wanted its log-probability at a temperature.

        Arguments as in `Sampler`.
        """
        rows, where = np.unique(prefix, return_inverse=True)
        on_rows = scores.index_select(0, torch.as_tensor(rows, device=scores.device)).float()
        # at most groups - 1 tokens are penalised, so the best few are among the best few and groups - 1 more
        few = max(2, 1 + len(self._ends)) + self._totals.shape[1] - 1
        best, ids = on_rows.topk(min(few, scores.shape[-1]))
        best = best - on_rows.logsumexp(-1, keepdim=True)
        slots, prompt = np.unique(slot, return_inverse=True)
        group = place - self.place[0]
        live = np.zeros((len(slots), self._totals.shape[1]), dtype=np.bool_)
        stands = np.zeros(live.shape, dtype=np.int64)
        live[prompt, group], stands[prompt, group] = True, where
        tokens = self._step(slots, ids.cpu().numpy()[stands], best.cpu().numpy()[stands], live)
        chosen = torch.as_tensor(tokens[prompt, group], device=scores.device)
        if self._temperature is None:
            return chosen, None
        return chosen, _tempered(on_rows, ids[:, :1], self._temperature, where, chosen)

    def _step(self, slots: IntArray, ids: IntArray, logprobs: Float32Array, live: BoolArray) -> IntArray:
        """One token a group from its candidates, ``[prompts, groups, candidates]``; group after group.

        For the penalty a group counts as having used its best token that is not an end token, even where it ends; a
        group that has ended counts as using the padding token.
        """
        chosen, used = np.zeros(live.shape, dtype=np.int64), np.zeros(live.shape, dtype=np.int64)
        totals = self._totals[slots]
        ends = np.isin(ids, self._ends)
        for group in range(live.shape[1]):
            times = (ids[:, group, :, None] == used[:, None, :group]).sum(-1).astype(np.float32)
            total = (logprobs[:, group] - self._penalty * times) + totals[:, group, None]
            order = np.argsort(-total, axis=-1, kind="stable")
            ranked = np.take_along_axis(ids[:, group], order, -1)
            first = np.take_along_axis(total, order[:, :1], -1)[:, 0]
            other = np.take_along_axis(ends[:, group], order, -1).argmin(-1)
            alive = live[:, group]
            chosen[:, group] = ranked[:, 0]
            used[:, group] = np.where(alive, np.take_along_axis(ranked, other[:, None], -1)[:, 0], self._pad)
            totals[:, group] = np.where(alive, first, totals[:, group])
        self._totals[slots] = totals
        return chosen

    def order(self, slot: int, lengths: Sequence[int]) -> list[int]:
        """A prompt's groups, best first: by the mean over the tokens, and of equal ones the later group."""
        scores = [float(total) / length for total, length in zip(self._totals[slot], lengths, strict=True)]
        return sorted(range(len(scores)), key=lambda group: (-scores[group], -group))


def _tempered(scores: Tensor, likeliest: Tensor, temperature: float, rows: NDArray[np.intp], tokens: Tensor) -> Tensor:
    """Log-probabilities, in float64, of a token each at some rows of logits divided by a temperature.

    The others are summed without the likeliest token, so that a sure one keeps its digits.
    """
    highest = scores.gather(-1, likeliest)
    others = ((scores - highest) / temperature).exp_().scatter_(-1, likeliest, 0)
    partition = in_float64(others.sum(-1)).log1p()
    at = torch.as_tensor(rows, device=scores.device)
    below = in_float64(scores[at, tokens]) - in_float64(highest[at, 0])
    return below / temperature - partition[at.to(partition.device)]
