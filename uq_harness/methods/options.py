"""Options of methods: dataclass fields that know how to read what a user typed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from uq_harness.errors import one_of
from uq_harness.evidence import LayerSpan
from uq_harness.methods import arguments
from uq_harness.methods.arguments import read_argument, truth

# More samples of a question than any experiment draws; a larger number is a mistake that would fill the memory.
MOST = 10_000


def option(default: Any, read: Callable[[Any], Any], allowed: str, meaning: str) -> Any:
    """Declares a method option as a dataclass field.

    Args:
        default: The value where the user gives none.
        read: Turns what was typed into the value; raises ``ValueError`` where that is impossible.
        allowed: The allowed values, for messages and documentation.
        meaning: One line for ``uq-harness methods`` and the documentation.
    """
    return dataclasses.field(default=default, metadata={"read": read, "allowed": allowed, "meaning": meaning})


def choice(default: str, *names: str, meaning: str) -> Any:
    """An option that takes one of a few names."""

    def read(value: Any) -> str:
        if value not in names:
            raise ValueError(value)
        return str(value)

    return option(default, read, one_of(list(names)), meaning)


def flag(default: bool, meaning: str) -> Any:
    """An option that is true or false."""
    return option(default, truth, "true or false", meaning)


def positive(default: float, meaning: str) -> Any:
    """An option that takes a number above zero."""
    return _number(default, lambda number: 0 < number < math.inf, "a number above 0", meaning)


def not_negative(default: float, meaning: str) -> Any:
    """An option that takes zero or a number above it."""
    return _number(default, lambda number: 0 <= number < math.inf, "a number, 0 or more", meaning)


def probability(default: float, meaning: str) -> Any:
    """An option that takes a number from zero to one."""
    return _number(default, lambda number: 0 <= number <= 1, "a number from 0 to 1", meaning)


def mass(default: float, meaning: str) -> Any:
    """An option that takes a share of a distribution that cannot be empty: above zero, at most one."""
    return _number(default, lambda number: 0 < number <= 1, "a number above 0, at most 1", meaning)


def whole(default: int, meaning: str, at_least: int = 1, at_most: int = MOST) -> Any:
    """An option that takes a whole number within limits."""
    return option(
        default,
        lambda value: arguments.whole(value, at_least, at_most),
        f"a whole number from {at_least} to {at_most}",
        meaning,
    )


def likeliest(default: int, meaning: str) -> Any:
    """An option that takes the number of the likeliest tokens that are drawn from; 0 for all."""
    return whole(default, meaning, at_least=0, at_most=2**31)


def compared(meaning: str) -> Any:
    """An option that takes how many of something are compared with each other, two or more; 0, the default, for all."""

    def read(value: Any) -> int:
        number = arguments.whole(value, 0, MOST)
        if number == 1:
            raise ValueError(value)
        return number

    return option(0, read, f"0 for all, or a whole number from 2 to {MOST}", meaning)


def _number(default: float, allows: Callable[[float], bool], allowed: str, meaning: str) -> Any:
    def read(value: Any) -> float:
        number = float(value)
        if isinstance(value, bool) or not allows(number):
            raise ValueError(value)
        return number

    return option(default, read, allowed, meaning)


def layer_span(default: str, meaning: str) -> Any:
    """An option that takes a range of blocks."""

    def read(value: Any) -> LayerSpan:
        return LayerSpan(str(value))

    return option(LayerSpan(default), read, "top_half, last_quarter, all or a-b", meaning)


def read_option(field: dataclasses.Field[Any], value: Any) -> Any:
    """The value of an option from what the user gave.

    Raises:
        UQHarnessError: The value is not allowed.
    """
    return read_argument(field.name, value, field.metadata["read"], field.metadata["allowed"])
