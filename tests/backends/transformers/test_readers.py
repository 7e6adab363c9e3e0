"""Which sample sets read a prefix."""

import numpy as np

from uq_harness.backends.transformers.readers import Readers
from uq_harness.backends.transformers.sequences import Sequences
from uq_harness.evidence import DiverseBeams, Samples

THREE, TWO, BEAMS = Samples(3, 1.0), Samples(2, 1.0), DiverseBeams(2, 1.0)


def test_prefixes_are_counted_by_the_sets_that_read_them_and_greedy_ones_are_not() -> None:
    sequences = Sequences(slots=2, width=6, limit=4)  # a greedy answer, three samples, two beams
    sequences.live[:] = True
    sequences.prefix[:] = [0, 0, 1, 2, 1, 3, 4, 4, 4, 4, 4, 4]
    sequences.live[5] = False
    places = {THREE: np.arange(1, 4), BEAMS: np.arange(4, 6)}
    found = Readers(places, (THREE, TWO, BEAMS), 6).count(sequences)
    assert found == {0: {frozenset([THREE, TWO, BEAMS]): 1, frozenset([THREE]): 1}}
    assert Readers({}, (), 1).count(Sequences(slots=1, width=1, limit=2)) == {}
