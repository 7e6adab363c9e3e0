"""The bar of work that is quick with few answers and takes long with many."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

_LONG = 5.0  # seconds after which it appears


def bar_if_slow(items: Iterable[Any] | None = None, *, what: str, unit: str, total: int | None = None) -> Any:
    """A bar of tqdm on a terminal, with the time that is left; nothing appears where the work is quick.

    Args:
        items: What is gone through; without it the caller moves the bar.
        what: What is being done.
        unit: What is counted; ``B`` for bytes.
        total: How many there are, where ``items`` does not know.
    """
    of_bytes = unit == "B"
    return tqdm(items, desc=what, unit=unit, unit_scale=of_bytes, total=total, delay=_LONG, disable=None, leave=False)
