"""Values as JSON knows them."""

from __future__ import annotations

import math
from typing import Any


def plain(value: Any) -> Any:
    """The value with lists for tuples, and ``None`` for every number that is not finite, for which JSON has no sign.

    >>> plain({"auroc": float("nan"), "interval": (0.1, float("inf"))})
    {'auroc': None, 'interval': [0.1, None]}
    """
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
