"""The sums over each greedy token's next-token distribution that scores read, taken where a token is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uq_harness.backends.transformers.forward import in_float64
from uq_harness.evidence import LikeliestTokens, Need, TokenStatistic
from uq_harness.functional import FloatArray
from uq_harness.functional.statistics import GAP, MOST_DOMINANT, DistributionSums

BLOCKS = 64  # tokens whose maximum stands for all of them in the search for the likeliest
FEW_DOMINANT = 64  # likeliest tokens that reach below a gap in most of the distributions where 16 do not
_LOG_GAP = float(np.log(GAP))


@dataclass(frozen=True)
class Sums:
    """Which sums are taken; by default none.

    A row of them is an array: the mean, the power sums, the likeliest tokens' log-probabilities and, where wanted,
    their ids in front of them.

    Attributes:
        mean: Whether the mean of all log-probabilities is taken.
        powers: The exponents of the power sums.
        n_likeliest: How many of the likeliest tokens.
        gaps: Whether more of them are taken where a token behind them may stand before a gap.
        ids: Whether the ids of the likeliest tokens are taken.
    """

    mean: bool = False
    powers: tuple[float, ...] = ()
    n_likeliest: int = 0
    gaps: bool = False
    ids: bool = False

    @classmethod
    def of(cls, needs: Iterable[Need[Any]]) -> Sums:
        """What some needs read.

        >>> from uq_harness.functional.statistics import Margin, RenyiFromUniform
        >>> Sums.of([TokenStatistic(Margin()), TokenStatistic(RenyiFromUniform(0.5, 2.0))])
        Sums(mean=False, powers=(0.25, 0.5), n_likeliest=2, gaps=False, ids=False)
        """
        needs = tuple(needs)
        statistics = [need.statistic for need in needs if isinstance(need, TokenStatistic)]
        lists = [need.count for need in needs if isinstance(need, LikeliestTokens)]
        return cls(
            mean=any(one.reads_mean for one in statistics),
            powers=tuple(sorted({power for one in statistics for power in one.powers} - {1.0})),
            n_likeliest=max([*(one.n_likeliest for one in statistics), *lists], default=0),
            gaps=any(one.reads_gaps for one in statistics),
            ids=bool(lists),
        )

    @property
    def any(self) -> bool:
        """Whether there is anything to take."""
        return self.mean or bool(self.powers) or self.n_likeliest > 0

    def take(
        self, scores: Tensor, shifted: Tensor, others: Tensor, best: Tensor, rest: Tensor, mean: Tensor | None
    ) -> Tensor:
        """The sums of some rows, ``[rows, sums]``, in float64.

        Args:
            scores: Logits, ``[rows, vocabulary]``.
            shifted: In float64 how far each lies below the row's largest.
            others: Their exponentials, with 0 for one of the likeliest tokens; overwritten.
            best: That token, ``[rows, 1]``.
            rest: The sums of ``others``.
            mean: The mean of ``shifted``, ``[rows, 1]``, where it is taken.
        """
        log_normaliser = rest.log1p()[:, None]
        columns = [] if mean is None else [mean - log_normaliser]
        before = None
        for power in self.powers:
            if before is not None and power == 2 * before:
                others.square_()  # much less than an exponential
            else:
                torch.mul(shifted, power, out=others).exp_().scatter_(-1, best, 0)
            before = power
            columns.append(others.sum(-1, keepdim=True).log1p_() - power * log_normaliser)
        if self.n_likeliest:
            found, ids = likeliest(scores, self.n_likeliest)
            below = in_float64(found) - in_float64(found[:, :1])
            columns += [in_float64(ids)] if self.ids else []
            columns.append(below - log_normaliser)
        return torch.cat(columns, -1)

    def complete(self, scores: Tensor, rows: Sequence[int], found: FloatArray) -> list[FloatArray]:
        """One array a row, with all tokens that may stand before a gap where the likeliest few do not reach the last.

        Args:
            scores: Logits, ``[all rows, vocabulary]``.
            rows: The rows' numbers.
            found: What was taken of them.
        """
        taken = list(found)
        vocabulary = scores.shape[-1]
        width = self._width(vocabulary)
        if not self.gaps:
            return taken
        for most in (FEW_DOMINANT, MOST_DOMINANT):
            open_ = [place for place, one in enumerate(taken) if one[-1] > _LOG_GAP]
            most = min(most, vocabulary)
            if not open_ or most <= width:
                continue
            at = torch.as_tensor(np.asarray(rows)[open_], device=scores.device)
            best, _ = likeliest(scores[at], most)
            below = (in_float64(best) - in_float64(best[:, :1])).cpu().numpy()
            for place, more in zip(open_, below, strict=True):
                first = found[place, -width]  # log-probability of the likeliest token
                taken[place] = np.concatenate([found[place], first + more[width:]])
        return taken

    def sums(self, rows: Sequence[FloatArray], chosen: FloatArray, vocabulary: int) -> DistributionSums:
        """What was taken of an answer's tokens.

        Args:
            rows: What was taken of each token's distribution.
            chosen: Log-probability of each token.
            vocabulary: Number of tokens in the vocabulary.
        """
        first = self._first_likeliest(vocabulary)
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        # padding has probability 0, and stands behind tokens that are too unlikely for a gap
        table = np.full((len(rows), lengths.max(initial=first + self._width(vocabulary))), -np.inf)
        table[np.arange(table.shape[1]) < lengths[:, None]] = np.concatenate([np.empty(0), *rows])
        start = int(self.mean)
        return DistributionSums(
            chosen=chosen,
            vocabulary=vocabulary,
            mean_logprobs=table[:, 0] if self.mean else None,
            log_power_sums={power: table[:, start + place] for place, power in enumerate(self.powers)},
            likeliest=table[:, first:] if self.n_likeliest else None,
        )

    def likeliest_ids(self, rows: Sequence[FloatArray], vocabulary: int) -> FloatArray:
        """Ids of the likeliest tokens at each of an answer's tokens, best first, ``[tokens, n_likeliest]``."""
        first, width = self._first_likeliest(vocabulary), self._width(vocabulary)
        return np.array([row[first - width : first] for row in rows]).reshape(len(rows), width)

    def _width(self, vocabulary: int) -> int:
        return min(self.n_likeliest, vocabulary)

    def _first_likeliest(self, vocabulary: int) -> int:
        return int(self.mean) + len(self.powers) + (self._width(vocabulary) if self.ids else 0)


NO_SUMS = Sums()


def likeliest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest logits of each row and their places, best first; all where there are fewer than asked for.

    They lie in the blocks with the largest maxima, and a maximum costs much less than a sorted list.

    Args:
        scores: Logits, ``[rows, vocabulary]``.
        count: How many.
    """
    vocabulary = scores.shape[-1]
    n_blocks = vocabulary // BLOCKS
    if count * BLOCKS * 2 > vocabulary:
        best, places = scores.topk(min(count, vocabulary))
        return best, places
    blocks = scores[:, : n_blocks * BLOCKS].unflatten(-1, (BLOCKS, n_blocks))  # a block is a column
    _, chosen = blocks.amax(1).topk(count)
    places = (chosen[:, None, :] + torch.arange(BLOCKS, device=scores.device)[:, None] * n_blocks).flatten(1)
    tail = torch.arange(n_blocks * BLOCKS, vocabulary, device=scores.device).expand(len(scores), -1)
    places = torch.cat([places, tail], -1)
    best, at = scores.gather(-1, places).topk(count)
    return best, places.gather(-1, at)


def missing_of_vocabulary(need: TokenStatistic | LikeliestTokens, vocabulary: int) -> str | None:
    """What a vocabulary is too small for; ``None`` where it suffices."""
    if isinstance(need, TokenStatistic) and not need.statistic.reads_gaps:
        wanted = need.statistic.n_likeliest
        if wanted > vocabulary:
            return f"{wanted} likeliest tokens, and the model's vocabulary has {vocabulary}: ask for fewer"
    return None
