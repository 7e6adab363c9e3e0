"""The parts of the gradient pass and the time that each takes, so that every need can be told its own."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from uq_harness.evidence import HeadGradient, Need, StateGradient, StateGradientMap

# The loss at the head, which all gradients start from; the head's own gradient; the blocks that run again; the
# gradients of states; the gradient of a matrix in both of its places.
Kind = Literal["loss", "head", "blocks", "states", "tied"]
# Parts of one weighting have it (true: by entropy), the others ``None``.
Part = tuple[Kind, bool | None]
GradientNeed = HeadGradient | StateGradient | StateGradientMap


class PartsWatch:
    """Takes the time of parts that follow each other.

    Attributes:
        seconds: Seconds of each part so far.
    """

    def __init__(self) -> None:
        self.seconds: dict[Part, float] = {}
        self._since = time.perf_counter()

    def took(self, kind: Kind, weighted: bool | None, made: Tensor | None = None) -> None:
        """Gives a part the time since the last call.

        Args:
            kind: The part.
            weighted: Its weighting.
            made: What the part has computed on a device that may still be at work; absent where it was read back.
        """
        if made is not None and made.device.type == "cuda":
            torch.cuda.synchronize(made.device)
        now = time.perf_counter()
        self.seconds[kind, weighted] = self.seconds.get((kind, weighted), 0.0) + now - self._since
        self._since = now


def add_parts(seconds: dict[Part, float], more: Mapping[Part, float], share: float) -> None:
    """Adds a share of further parts to the seconds of one answer."""
    for part, spent in more.items():
        seconds[part] = seconds.get(part, 0.0) + share * spent


def by_needs(seconds: Mapping[Part, float], needs: Iterable[GradientNeed]) -> dict[frozenset[Need[Any]], float]:
    """The same seconds by all the needs that read a part.

    >>> exgrad, paragrad = HeadGradient(False), HeadGradient(True)
    >>> found = by_needs({("loss", None): 1.0, ("head", True): 2.0}, [exgrad, paragrad])
    >>> found == {frozenset([exgrad, paragrad]): 1.0, frozenset([paragrad]): 2.0}
    True
    """
    needs = tuple(needs)
    found: dict[frozenset[Need[Any]], float] = {}
    for part, spent in seconds.items():
        readers: frozenset[Need[Any]] = frozenset(need for need in needs if _reads(need, part))
        found[readers] = found.get(readers, 0.0) + spent
    return found


def _reads(need: GradientNeed, part: Part) -> bool:
    kind, weighted = part
    if isinstance(need, HeadGradient) and need.tied:
        return kind == "tied"
    own = "head" if isinstance(need, HeadGradient) else "states"
    return (
        kind == "loss"
        or (kind == "blocks" and own == "states")
        or (kind == own and weighted in (None, need.reweighted))
    )
