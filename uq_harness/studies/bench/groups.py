"""Parts of the decoding pass whose price alone only measuring can tell: each is run alone, once for all methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from uq_harness.evidence import DiverseBeams, LikeliestTokens, Need, Samples, SelfAttention, TokenStatistic, sample_sets
from uq_harness.methods import Method

Groups = dict[str, tuple[Need[Any], ...]]
DISTRIBUTIONS, ATTENTION = "distributions", "self-attention"
_READINGS: dict[str, tuple[type[Need[Any]], ...]] = {
    DISTRIBUTIONS: (TokenStatistic, LikeliestTokens),
    ATTENTION: (SelfAttention,),
}


def groups_of(methods: Iterable[Method]) -> Groups:
    """Each sample set with what is read of it, and what is read of the greedy answer's tokens, by names for people."""
    needs = tuple(dict.fromkeys(need for method in methods for need in method.needs()))
    found: Groups = {
        set_name(one): tuple(dict.fromkeys([one, *(n for n in needs if n.stage == "samples" and n.sample_set == one)]))
        for one in sample_sets(needs)
    }
    found |= {name: tuple(need for need in needs if isinstance(need, kinds)) for name, kinds in _READINGS.items()}
    return {name: members for name, members in found.items() if members}


def groups_read(method: Method, groups: Groups) -> list[str]:
    """Names of the groups that a method reads something of."""
    needs = {*method.needs(), *sample_sets(method.needs())}
    return [name for name, members in groups.items() if needs.intersection(members)]


def read_by_one(name: str, methods: Sequence[Method], groups: Groups) -> bool:
    """Whether a reading of the greedy answer's tokens serves one method alone, and so is saved without it."""
    return name in _READINGS and sum(name in groups_read(method, groups) for method in methods) == 1


def set_name(one: Samples | DiverseBeams) -> str:
    """A sample set for a table.

    >>> set_name(Samples(10, 0.5, 0.99, 5)), set_name(DiverseBeams(10, 1.0))
    ('10 samples, temperature 0.5, top-p 0.99, top-k 5', '10 diverse beams, penalty 1')
    """
    if isinstance(one, DiverseBeams):
        return f"{one.groups} diverse beams, penalty {one.penalty:g}"
    cuts = [f"top-p {one.top_p:g}"] * (one.top_p < 1) + [f"top-k {one.top_k}"] * (one.top_k > 0)
    return ", ".join([f"{one.count} samples, temperature {one.temperature:g}", *cuts])
