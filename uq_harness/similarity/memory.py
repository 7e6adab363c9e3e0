"""What a model said about pairs of texts, kept for when they come up again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import numpy as np

from uq_harness.functional import FloatArray

Pair = tuple[str, str]


class PairMemory:
    """The rows of pairs, of which those that were not asked for longest are forgotten first.

    A pair is kept as a digest of 16 bytes, so that long texts take no more memory than short ones: about 210 bytes a
    pair.

    Args:
        size: The most pairs that are kept; 0 for none.

    >>> memory = PairMemory(2)
    >>> for text in ("a", "b", "a", "c"):
    ...     if memory.get((text, "x")) is None:
    ...         memory.put((text, "x"), np.array([float(ord(text))]))
    >>> [memory.get((text, "x")) is not None for text in ("a", "b", "c")], len(memory)
    ([True, False, True], 2)
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._rows: OrderedDict[bytes, bytes] = OrderedDict()

    def __len__(self) -> int:
        """Number of pairs that are kept."""
        return len(self._rows)

    def get(self, pair: Pair) -> FloatArray | None:
        """A pair's row; ``None`` for one that is not kept."""
        key = _digest(pair)
        found = self._rows.get(key)
        if found is None:
            return None
        self._rows.move_to_end(key)
        return np.frombuffer(found, dtype=np.float64)

    def put(self, pair: Pair, row: FloatArray) -> None:
        """Keeps a pair's row."""
        self._rows[_digest(pair)] = row.tobytes()
        while len(self._rows) > self.size:
            self._rows.popitem(last=False)

    def clear(self) -> None:
        """Forgets all pairs."""
        self._rows.clear()


def _digest(pair: Pair) -> bytes:
    """Different for different pairs: the first text's length says where it ends."""
    first, second = pair
    text = f"{len(first)} {first}{second}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
