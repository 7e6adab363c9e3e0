"""Values as JSON knows them."""

from __future__ import annotations

import json
import math
from typing import Any, Self

from uq_harness.escape import encodable, escaped_in_json


class _NotAvailable(str):
    """lm_eval's text for a number that is undefined, which stays what it is in lm_eval's arithmetic of groups."""

    __slots__ = ()

    def __add__(self, _: object) -> Self:
        return self

    __radd__ = __mul__ = __rmul__ = __truediv__ = __add__


# What a results file holds where a metric is undefined: JSON has no NaN, and lm_eval's tables take no null.
NOT_AVAILABLE = _NotAvailable("N/A")


def or_not_available(value: float) -> float | str:
    """The value, or lm_eval's ``N/A`` where it is not finite.

    >>> or_not_available(0.75), or_not_available(float("nan"))
    (0.75, 'N/A')
    """
    return value if math.isfinite(value) else NOT_AVAILABLE


def plain(value: Any) -> Any:
    """The value with lists for tuples, and ``None`` for every number that is undefined or not finite.

    JSON has no sign for these. Halves of surrogate pairs, which no file can hold, are written as their numbers.

    >>> plain({"auroc": float("nan"), "interval": (0.1, float("inf"))})
    {'auroc': None, 'interval': [0.1, None]}
    """
    if isinstance(value, _NotAvailable):
        return None
    if isinstance(value, str):
        return value if value.isascii() else encodable(value)
    if isinstance(value, dict):
        return {plain(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, tuple | list):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_text(value: Any, indent: int | None = None) -> str:
    r"""The value as strict JSON that a terminal and any file can hold.

    Characters stay as they are, but for those that would be obeyed, or that no file can hold: they are escaped.

    >>> print(as_text({"name": "Ünï \x9b[31m", "auroc": float("nan")}))
    {"name": "Ünï \u009b[31m", "auroc": null}
    """
    return escaped_in_json(json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False))
