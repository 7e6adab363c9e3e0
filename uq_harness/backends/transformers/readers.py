"""Which sample sets read a prefix: the account of what each of them costs in a pass that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from uq_harness.backends.transformers.next_token import GREEDY, answers
from uq_harness.backends.transformers.sequences import IntArray, Sequences
from uq_harness.evidence import SampleSet
from uq_harness.evidence.sets import serving


class Readers:
    """The sample sets that each sequence of a slot belongs to.

    Args:
        places: For every sampler the numbers of its sequences within a slot.
        sets: The sample sets; those that no sampler serves are passed over.
        width: Number of a slot's sequences.

    Attributes:
        sets: The sample sets that are served.
    """

    def __init__(self, places: Mapping[SampleSet, IntArray], sets: Sequence[SampleSet], width: int) -> None:
        served = {one: sampler for one in sets if (sampler := serving(one, places)) is not None}
        self.sets = tuple(served)
        self._member = np.zeros((width, len(served)), dtype=np.bool_)
        for number, (one, sampler) in enumerate(served.items()):
            self._member[places[sampler][: answers(one)], number] = True

    def count(self, sequences: Sequences) -> dict[int, Counter[frozenset[SampleSet]]]:
        """For each slot how many of its prefixes just these sets read; those of greedy answers are left out."""
        if not self.sets:
            return {}
        live = np.flatnonzero(sequences.live)
        slots, places = np.divmod(live, sequences.width)
        prefix = sequences.prefix[live]
        read = np.zeros((int(prefix.max(initial=-1)) + 1, len(self.sets) + 1), dtype=np.bool_)
        np.logical_or.at(read, prefix, np.column_stack([self._member[places], places == GREEDY]))
        found: dict[int, Counter[frozenset[SampleSet]]] = {}
        owners = np.zeros(len(read), dtype=np.int64)
        owners[prefix] = slots
        kinds, which = np.unique(read, axis=0, return_inverse=True)
        named = [None if kind[-1] else frozenset(self._named(kind)) for kind in kinds]
        for slot, kind in zip(owners.tolist(), which.reshape(-1).tolist(), strict=True):
            sets = named[kind]
            if sets:
                found.setdefault(slot, Counter())[sets] += 1
        return found

    def _named(self, kind: np.ndarray) -> list[SampleSet]:
        return [one for one, reads in zip(self.sets, kind[:-1].tolist(), strict=True) if reads]
