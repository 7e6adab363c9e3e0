"""How every sequence gets its next token, its log-probability and its distribution's entropy."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.beams import Beams
from uq_harness.backends.transformers.distributions import NO_SUMS, Sums
from uq_harness.backends.transformers.forward import (
    in_float64,
    logits,
    rows_in_memory,
    rows_of_a_product,
    without_autocast,
)
from uq_harness.backends.transformers.sampler import Sampler
from uq_harness.backends.transformers.scratch import Scratch
from uq_harness.backends.transformers.sequences import BoolArray, IntArray, Sequences, take
from uq_harness.evidence import DiverseBeams, Samples, SampleSet

GREEDY = 0  # number of a slot's sequence that holds the greedy answer


def answers(sampler: SampleSet) -> int:
    """Number of answers that a sampler gives to a prompt."""
    return sampler.groups if isinstance(sampler, DiverseBeams) else sampler.count


class NextToken:
    """Chooses the next token of every sequence: greedily, or as the sequence's sampler does.

    Args:
        samplers: What is drawn in addition to the greedy answers, without repetition.
        slots: Number of prompts that can be answered at a time.
        seed: Seed of all samples.
        end_ids: Tokens that end an answer.
        pad_id: Token that fills the padding.
        laws: The samplers whose tokens' log-probabilities under the law of the draw are wanted.
        tempered: The beam searches whose tokens' log-probabilities at another temperature are wanted, and which.
        sums: What is taken of the distributions of the greedy answers' tokens.

    Attributes:
        width: Number of a prompt's sequences.
        places: For every sampler the numbers of its sequences within a slot.
    """

    def __init__(
        self,
        samplers: Sequence[SampleSet],
        slots: int,
        *,
        seed: int,
        end_ids: Iterable[int],
        pad_id: int,
        laws: Collection[SampleSet] = frozenset(),
        tempered: Mapping[SampleSet, float] | None = None,
        sums: Sums = NO_SUMS,
    ) -> None:
        self._sums, self._scratch = sums, Scratch()
        starts = np.cumsum([GREEDY + 1, *map(answers, samplers)])
        self.width = int(starts[-1])
        self.places = {
            sampler: np.arange(start, start + answers(sampler))
            for sampler, start in zip(samplers, starts[:-1], strict=True)
        }
        self._beams = [
            Beams(sampler, place, slots, end_ids, pad_id, (tempered or {}).get(sampler))
            for sampler, place in self.places.items()
            if isinstance(sampler, DiverseBeams)
        ]
        drawn = {sampler: place for sampler, place in self.places.items() if isinstance(sampler, Samples)}
        self._samplers: list[Beams | Sampler] = [*self._beams, *Sampler.grouped(drawn, slots, self.width, seed, laws)]

    def admit(self, slot: int, prompt: Sequence[int]) -> None:
        """Begins the answers to a prompt."""
        for sampler in self._samplers:
            sampler.admit(slot, prompt)

    def order(self, slot: int, lengths: IntArray) -> dict[SampleSet, IntArray]:
        """For every sampler its sequences within a slot, those of a beam search best first."""
        best_first = {
            beams.sampler: beams.place[beams.order(slot, lengths[beams.place].tolist())] for beams in self._beams
        }
        return self.places | best_first

    def choose(self, architecture: Architecture, head_states: Tensor, sequences: Sequences) -> None:
        """Adds a token to every live sequence.

        Args:
            architecture: The model.
            head_states: The states that the head reads to predict each prefix's next token, ``[prefixes, width]``.
            sequences: All sequences.
        """
        live = np.flatnonzero(sequences.live)
        owners = sequences.owners()
        few = rows_in_memory(architecture.vocabulary, head_states.device)
        for product in _whole_prompts(owners, rows_of_a_product(architecture.vocabulary, head_states.device)):
            scores = logits(architecture, head_states[product.start : product.stop])
            for part in _whole_prompts(owners[product.start : product.stop], few):
                first, last = product.start + part.start, product.start + part.stop
                members = live[(first <= sequences.prefix[live]) & (sequences.prefix[live] < last)]
                self._choose(scores[part.start : part.stop], members, sequences.prefix[members] - first, sequences)

    def _choose(self, scores: Tensor, members: IntArray, prefix: IntArray, sequences: Sequences) -> None:
        """Writes each sequence's next token, and what is known about it.

        Args:
            scores: Logits, ``[prefixes, vocabulary]``.
            members: Numbers of the sequences.
            prefix: The row of ``scores`` that each of them continues.
            sequences: All sequences.
        """
        device = scores.device
        likeliest = scores.argmax(-1)
        tokens = take(likeliest, prefix)
        laws = torch.full((len(members),), torch.nan, dtype=torch.float64, device=in_float64(scores[:0]).device)
        slot, place = np.divmod(members, sequences.width)
        for sampler in self._samplers:
            mine = np.flatnonzero(sampler.has(place))
            if len(mine):
                chosen, law = sampler(scores, slot[mine], place[mine], prefix[mine], sequences.lengths[members[mine]])
                tokens = tokens.index_copy(0, torch.as_tensor(mine, device=device), chosen)
                if law is not None:
                    laws[torch.as_tensor(mine, device=laws.device)] = law
        greedy = np.zeros(len(scores), dtype=np.bool_)
        greedy[prefix[place == GREEDY]] = True
        at = torch.as_tensor(prefix, device=device)
        *found, sums = logprobs_and_entropies(scores, likeliest, at, tokens, greedy, self._sums, self._scratch)
        columns = torch.stack([in_float64(tokens), *found, laws, in_float64(scores[at, tokens])])
        # one way to the host for everything; float64 holds token ids exactly
        flat = torch.cat([columns.flatten(), sums.flatten()]).cpu().numpy()
        packed = flat[: columns.numel()].reshape(columns.shape)
        sequences.write(members, packed[0].astype(np.int64), *packed[1:])
        if self._sums.any:
            rows = np.flatnonzero(greedy)
            taken = self._sums.complete(scores, rows.tolist(), flat[columns.numel() :].reshape(sums.shape))
            owners = dict(zip(prefix[place == GREEDY].tolist(), members[place == GREEDY].tolist(), strict=True))
            for row, one in zip(rows.tolist(), taken, strict=True):
                sequences.distributions[owners[row]].append(one)


def _whole_prompts(owners: IntArray, most: int) -> Iterator[range]:
    """Runs of prefixes that hold all of their prompts', and not more than the given number unless one prompt does."""
    ends = [*(np.flatnonzero(np.diff(owners)) + 1).tolist(), len(owners)]
    start = 0
    for end, following in zip(ends, [*ends[1:], None], strict=True):
        if following is None or following - start > most:
            yield range(start, end)
            start = end


def logprobs_and_entropies(
    scores: Tensor,
    likeliest: Tensor,
    rows: Tensor,
    tokens: Tensor,
    precisely: BoolArray,
    sums: Sums = NO_SUMS,
    scratch: Scratch | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probability of a token of each of the given rows, and the rows' entropies in nats, in float64.

    With them the sums that are taken of the rows in float64, ``[such rows, sums]``.

    The numbers of `log_softmax_and_entropy` with one exponential a logit. A sure token's ``1 - p`` is what the ranking
    of answers is about, and a sum that holds the token's own 1 loses its digits; so the others are summed alone. That
    keeps them in float32 too, up to its rounding, and spares most rows float64.

    Args:
        scores: Logits, ``[all rows, vocabulary]``.
        likeliest: The likeliest token of all rows.
        rows: Rows, which may repeat.
        tokens: A token for each.
        precisely: Of all rows, those to take in float64.
        sums: What else is taken of them.
        scratch: Memory to work in; fresh memory where absent.
    """
    scratch = scratch or Scratch()
    highest = scores.gather(-1, likeliest[:, None])
    device = in_float64(highest[:0]).device
    partition, entropy = torch.empty(2, len(scores), dtype=torch.float64, device=device)
    taken = []
    size = rows_in_memory(scores.shape[-1], scores.device)
    at_least_float32 = torch.promote_types(scores.dtype, torch.float32)
    for precise, dtype in ((True, torch.float64), (False, at_least_float32)):
        for part in _runs(np.flatnonzero(precisely == precise), size):
            at = part if isinstance(part, slice) else torch.as_tensor(part, device=scores.device)
            some = scores[at]
            shifted, others = scratch.pair(some.shape, dtype, device if precise else scores.device)
            best = likeliest[at, None].to(shifted.device)
            shifted.copy_(some).sub_(highest[at].to(shifted.device))
            torch.exp(shifted, out=others).scatter_(-1, best, 0)
            rest = in_float64(others.sum(-1))
            mean = shifted.mean(-1, keepdim=True) if precise and sums.mean else None
            # the clamp: a logit of minus infinity has no share in the entropy
            with without_autocast(others.device):
                spread = in_float64(torch.linalg.vecdot(others, shifted.clamp_(min=torch.finfo(dtype).min)))
            if precise and sums.any:
                taken.append(sums.take(some, shifted, others, best, rest, mean))
            at = at if isinstance(at, slice) else at.to(device)
            partition[at] = rest.log1p()
            entropy[at] = rest.log1p() - spread / (1 + rest)
    below = in_float64(scores[rows, tokens]) - in_float64(highest[rows, 0])
    rows = rows.to(device)
    found = torch.cat(taken) if taken else torch.empty(0, dtype=torch.float64, device=device)
    return below - partition[rows], entropy[rows], found


def _runs(rows: NDArray[np.intp], size: int) -> Iterator[slice | NDArray[np.intp]]:
    """Some rows in parts of a size, a slice where they follow each other, which spares a copy."""
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        first, last = int(part[0]), int(part[-1])
        yield slice(first, last + 1) if last - first + 1 == len(part) else part
