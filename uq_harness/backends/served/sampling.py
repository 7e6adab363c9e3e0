"""Sampled answers as requests: which seed each set of them begins at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from uq_harness.evidence import Samples

SEEDS = 2**62  # as many numbers seeds are drawn from; those of a set follow on one another


def first_seed(seed: int, prompt: Sequence[int], samples: Samples) -> int:
    """The seed of a set's first answer; answer i has this one + i.

    Seeds that lie near each other would let sets share answers, so it is drawn from `SEEDS` numbers by the run's seed,
    the prompt (its tokens, or the bytes of messages) and what the set is drawn by. The number of answers has no part
    in it.

    >>> few, many, warm = Samples(5, 1.0), Samples(10, 1.0), Samples(10, 0.7)
    >>> first_seed(1, [3, 4], few) == first_seed(1, [3, 4], many) != first_seed(1, [3, 4], warm)
    True
    """
    identity = (
        int(seed),
        tuple(map(int, prompt)),
        float(samples.temperature),
        float(samples.top_p),
        int(samples.top_k),
    )
    digest = hashlib.blake2b(repr(identity).encode(), digest_size=8, key=b"uq-harness samples").digest()
    return int.from_bytes(digest, "little") % SEEDS


def is_own_law(samples: Samples) -> bool:
    """Whether answers are drawn from the model's own distribution, with nothing cut off."""
    return samples.temperature == 1 and samples.top_p == 1 and samples.top_k == 0
