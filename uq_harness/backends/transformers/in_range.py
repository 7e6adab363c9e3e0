"""Backward passes within the range of 16-bit floats: the loss is scaled, and the result tells by how much."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from uq_harness.functional import FloatArray

# Powers of two, which cost no digits. The first leaves float16 space for gradients 64 times as large as where they
# start, and for those that a norm divides by the largest float16 number; the others are for passes that overflow.
EXPONENTS = (10, 4, -2, -8, -14)


def in_range(backward: Callable[[float], FloatArray]) -> FloatArray:
    """What a backward pass yields, free of the factor on the loss that keeps it within range.

    Args:
        backward: Takes the factor on the loss, and gives mean absolute values and mean squares of gradients,
            ``[2, rows, ...]``.

    Returns:
        The same for the loss itself. Rows that overflow with every factor stay infinite or ``nan``.
    """
    found = _unscaled(backward, EXPONENTS[0])
    for exponent in EXPONENTS[1:]:
        over = ~np.isfinite(found).reshape(*found.shape[:2], -1).all((0, 2))
        if not over.any():
            break
        found[:, over] = _unscaled(backward, exponent)[:, over]
    return found


def known(sizes: FloatArray) -> FloatArray:
    """The sizes of gradients, ``nan`` where they are not known: what is not finite, and what has got lost.

    By way of the residual stream a block's input moves all that its output moves. So where nothing is left of the
    gradient at a block's input, though there is one at the next block's, or none at any, it has fallen below the
    smallest number that the type can hold. (A sliding window may well keep the topmost blocks from a position.)

    Args:
        sizes: Of the gradients of a loss that is not constant, by levels from the lowest one up, ``[..., levels,
            columns]``.
    """
    sizes = np.where(np.isfinite(sizes), sizes, np.nan)
    above = np.flip(np.logical_or.accumulate(np.flip(sizes != 0, -2), -2), -2)
    lost = (sizes == 0) & (above | ~above[..., :1, :])
    return np.where(lost, np.nan, sizes)


def _unscaled(backward: Callable[[float], FloatArray], exponent: int) -> FloatArray:
    found = backward(2.0**exponent)
    found[0] *= 2.0**-exponent
    found[1] *= 4.0**-exponent
    return found
