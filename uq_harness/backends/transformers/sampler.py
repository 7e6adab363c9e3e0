"""Draws independent samples: each sampler's warped distribution, and noise that depends on nothing but its own key.

A token is drawn by an exponential race: the winner is the one with the largest probability over its own Exp(1) noise,
a hash of (key of the sample, step, token). Small changes of the probabilities, as batch shapes make them, then change
few draws. Inverting cumulative probabilities is not stable in this way: one token's change shifts all later tokens'
intervals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from uq_harness.backends.transformers.forward import in_float64
from uq_harness.backends.transformers.sequences import BoolArray, IntArray
from uq_harness.evidence import Samples, SampleSet
from uq_harness.functional import FloatArray

HEAD = 64  # likeliest tokens that race one by one, against all others as one
FEW = 256  # candidates that all race one by one
REST = -1  # what stands for all others
CHUNK = 2**22  # noise entries in memory at a time
# splitmix64's constants as signed numbers
GOLDEN, MIX1, MIX2 = (x - 2**64 for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


class Sampler:
    """Draws the next tokens of all sample sets that cut their distributions off at the same place.

    Args:
        places: For every sampler the numbers of its sequences within a slot.
        slots: Number of slots.
        width: Number of a slot's sequences.
        seed: Seed of all samples.
        laws: The samplers whose tokens' log-probabilities under the law of the draw are wanted.
    """

    def __init__(
        self,
        places: Mapping[Samples, IntArray],
        slots: int,
        width: int,
        seed: int,
        laws: Collection[SampleSet] = frozenset(),
    ) -> None:
        self._places, self._seed = places, seed
        self._lawful = any(sampler in laws for sampler in places)
        ((self._top_k, self._top_p),) = {(sampler.top_k, sampler.top_p) for sampler in places}
        self._keys = torch.zeros(slots, width, dtype=torch.long)
        self._temperature: FloatArray = np.zeros(width)
        for sampler, place in places.items():
            self._temperature[place] = sampler.temperature

    @classmethod
    def grouped(
        cls,
        places: Mapping[Samples, IntArray],
        slots: int,
        width: int,
        seed: int,
        laws: Collection[SampleSet] = frozenset(),
    ) -> list[Sampler]:
        """Samplers that differ in temperature alone together."""
        together: dict[tuple[int, float], dict[Samples, IntArray]] = {}
        for sampler, place in places.items():
            together.setdefault((sampler.top_k, sampler.top_p), {})[sampler] = place
        return [cls(members, slots, width, seed, laws) for members in together.values()]

    def admit(self, slot: int, prompt: Sequence[int]) -> None:
        """Begins a prompt's samples."""
        for sampler, place in self._places.items():
            self._keys[slot, torch.as_tensor(place)] = sample_keys(self._seed, prompt, sampler)

    def has(self, places: IntArray) -> BoolArray:
        """Which sequences, by their numbers within a slot, these samplers serve."""
        return self._temperature[places] > 0

    def __call__(
        self, scores: Tensor, slot: IntArray, place: IntArray, prefix: IntArray, step: IntArray
    ) -> tuple[Tensor, Tensor | None]:
        """The next token of some sequences, and where wanted its log-probability under the law that it was drawn from.

        Args:
            scores: Logits, ``[prefixes, vocabulary]``.
            slot: The slot of each sequence.
            place: Its number within the slot.
            prefix: The row of ``scores`` that each of them continues.
            step: Number of tokens that each of them has already.
        """
        # sequences on one prefix at one temperature share a warped distribution
        heats, heat = np.unique(self._temperature[place], return_inverse=True)
        pairs, where = np.unique(prefix * len(heats) + heat, return_inverse=True)
        device = scores.device
        warped = scores.index_select(0, torch.as_tensor(pairs // len(heats), device=device)).float()
        temperature = torch.as_tensor(heats[pairs % len(heats)], dtype=torch.float32, device=device)
        keys = mix(self._keys[torch.as_tensor(slot), torch.as_tensor(place)] ^ torch.as_tensor(step + 1)).to(device)
        rows = torch.as_tensor(where, device=device)
        tokens = draw(warped, temperature, self._top_k, self._top_p, rows, keys)
        if not self._lawful:
            return tokens, None
        return tokens, law_logprobs(warped, temperature, self._top_k, self._top_p, rows, tokens)


def sample_keys(seed: int, prompt: Sequence[int], sampler: Samples) -> Tensor:
    """A 64-bit key for each of a sampler's samples, ``[count]``; the first ones do not depend on the count."""
    identity = (
        int(seed),
        tuple(map(int, prompt)),
        float(sampler.temperature),
        float(sampler.top_p),
        int(sampler.top_k),
    )
    digest = hashlib.blake2b(repr(identity).encode(), digest_size=8).digest()
    return mix(int.from_bytes(digest, "little", signed=True) + torch.arange(sampler.count) * GOLDEN)


def mix(x: Tensor) -> Tensor:
    """splitmix64's finaliser on int64 tensors: multiplication wraps, and masks make the shifts logical."""
    x = (x ^ ((x >> 30) & (2**34 - 1))) * MIX1
    x = (x ^ ((x >> 27) & (2**37 - 1))) * MIX2
    return x ^ ((x >> 31) & (2**33 - 1))


def draw(scores: Tensor, temperature: Tensor, top_k: int, top_p: float, rows: Tensor, keys: Tensor) -> Tensor:
    """One token per sequence from the warped distribution of its row.

    Args:
        scores: Logits, float32, ``[rows, vocabulary]``.
        temperature: Temperature of each row.
        top_k: Number of the likeliest tokens that are drawn from; 0 for all.
        top_p: Smallest mass of the likeliest tokens that are drawn from; 1 for all.
        rows: Each sequence's row, ``[sequences]``.
        keys: Each sequence's key at this step, int64, ``[sequences]``.
    """
    vocabulary = scores.shape[-1]
    probabilities, ids = candidates(scores, temperature, top_k, top_p)
    # decided by the sampler and not by how many candidates this batch has
    if min(top_k or vocabulary, vocabulary) <= FEW:
        return race(probabilities, ids, rows, keys)
    return race_in_two(probabilities, ids, rows, keys)


def candidates(scores: Tensor, temperature: Tensor, top_k: int, top_p: float) -> tuple[Tensor, Tensor | None]:
    """Probabilities of the tokens that may be drawn, and their ids where they are not the vocabulary in order.

    Temperature, top-k and top-p apply in this order and keep the sets that transformers' warpers keep: all tokens that
    tie with the k-th likeliest, and of the nucleus at least one. Probabilities need not add to 1 behind top-p.
    """
    scores = scores / temperature[:, None]
    if 0 < top_k < scores.shape[-1]:
        last = scores.topk(top_k).values[:, -1:]
        width = max(top_k, int((scores >= last).sum(-1).max()))
        scores, ids = scores.topk(width)
        scores = scores.masked_fill(scores < last, -torch.inf)
    elif top_p < 1:
        scores, ids = scores.sort(stable=True, descending=True)
    else:
        return scores.softmax(-1), None
    probabilities = scores.softmax(-1)
    if top_p < 1:
        from_here_on = probabilities.flip(-1).cumsum(-1).flip(-1)
        dropped = from_here_on <= 1 - top_p
        dropped[:, 0] = False
        width = max(HEAD, int((~dropped).sum(-1).max()))
        probabilities, ids = probabilities.masked_fill(dropped, 0)[:, :width], ids[:, :width]
    return probabilities, ids


def law_logprobs(scores: Tensor, temperature: Tensor, top_k: int, top_p: float, rows: Tensor, tokens: Tensor) -> Tensor:
    """Log-probability of one token per sequence under its row's warped distribution, in nats and float64.

    The distribution is that of transformers' warpers: what is cut off has no probability, and the rest adds to 1.

    Args:
        scores: Logits, float32, ``[rows, vocabulary]``.
        temperature: Temperature of each row.
        top_k: Number of the likeliest tokens that are drawn from; 0 for all.
        top_p: Smallest mass of the likeliest tokens that are drawn from; 1 for all.
        rows: Each sequence's row, ``[sequences]``.
        tokens: A token that may be drawn for each sequence.

    Returns:
        ``[sequences]``.
    """
    probabilities, ids = candidates(scores, temperature, top_k, top_p)
    kept = scores if ids is None else scores.gather(-1, ids)
    heated = in_float64(kept) / in_float64(temperature)[:, None]
    total = heated.masked_fill(in_float64(probabilities) == 0, -torch.inf).logsumexp(-1)
    own = scores[rows, tokens]
    at = rows.to(total.device)
    return in_float64(own) / in_float64(temperature)[at] - total[at]


def race(probabilities: Tensor, ids: Tensor | None, rows: Tensor, keys: Tensor) -> Tensor:
    """One token per sequence: the candidate with the largest probability over its own noise."""
    everything = torch.arange(probabilities.shape[-1], device=probabilities.device)[None]
    winners = []
    size = max(1, CHUNK // probabilities.shape[-1])
    for at, key in zip(rows.split(size), keys.split(size), strict=True):
        tokens = everything if ids is None else ids[at]
        bits = mix(key[:, None] + tokens * GOLDEN)
        uniform = (((bits >> 11) & (2**53 - 1)).float() * 2.0**-53).clamp_(2.0**-60, 1 - 2.0**-24)
        best = (probabilities[at] / uniform.neg_().log1p_().neg_()).argmax(-1)
        winners.append(best if ids is None else tokens.gather(-1, best[:, None])[:, 0])
    return torch.cat(winners)


def race_in_two(probabilities: Tensor, ids: Tensor | None, rows: Tensor, keys: Tensor) -> Tensor:
    """One token per sequence by the same law: noise for the likeliest tokens and, where those lose, for the rest."""
    top, places = probabilities.topk(HEAD)
    # those that tie with the last belong to the rest: which of them topk returns is its own affair
    last = top[:, -1:]
    head = top.masked_fill(top <= last, 0)
    rest = probabilities.masked_fill(probabilities > last, 0)
    entrants = torch.cat([head, rest.sum(-1, keepdim=True)], -1)
    names = pad(places if ids is None else ids.gather(-1, places), (0, 1), value=REST)
    token = race(entrants, names, rows, keys)
    late = (token == REST).nonzero()[:, 0]
    if len(late):
        token[late] = race(rest, ids, rows[late], mix(keys[late]))
    return token
