"""Arguments that users give, read in one place: whole numbers within limits, flags, names.

A reader takes a value as it was typed, in Python, in JSON or as ``--model_args`` gives it, and raises ``ValueError``
where it is not allowed; `read_argument` makes a message of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from uq_harness.errors import UQHarnessError, one_of

T = TypeVar("T")
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


def read_argument(name: str, value: Any, read: Callable[[Any], T], allowed: str) -> T:
    """The value of an argument.

    Args:
        name: The argument, for the message.
        value: What the user gave.
        read: The reader.
        allowed: What is allowed, for the message.

    Raises:
        UQHarnessError: The value is not allowed.
    """
    try:
        return read(value)
    except UQHarnessError:
        raise
    except (ValueError, TypeError, OverflowError):
        raise UQHarnessError(f"{name}={value!r} is not allowed: use {allowed}") from None


def read_whole(name: str, value: Any, at_least: int, at_most: int) -> int:
    """A whole number within limits.

    Raises:
        UQHarnessError: It is not one, or is out of range.

    >>> read_whole("seed", "7", 0, 100)
    7
    """
    return read_argument(
        name, value, lambda given: whole(given, at_least, at_most), f"a whole number from {at_least} to {at_most}"
    )


def read_flag(name: str, value: Any) -> bool:
    """Whether a flag is set.

    Raises:
        UQHarnessError: The value means neither true nor false.
    """
    return read_argument(name, value, truth, "true or false")


def read_choice(name: str, value: Any, names: list[str]) -> str:
    """One of a few names.

    Raises:
        UQHarnessError: It is none of them.
    """

    def read(given: Any) -> str:
        if given not in names:
            raise ValueError(given)
        return str(given)

    return read_argument(name, value, read, one_of(names))


def whole(value: Any, at_least: int, at_most: int) -> int:
    """A whole number within limits; ``2.0`` and the text ``2`` are one, ``true`` and ``2.5`` are not.

    Raises:
        ValueError: It is not one, or is out of range.
    """
    if isinstance(value, bool):
        raise ValueError(value)
    number = value if isinstance(value, int) else _from_text(value)
    if not at_least <= number <= at_most:
        raise ValueError(value)
    return number


def _from_text(value: Any) -> int:
    """The whole number that a text or a float is; ``1e3`` is one too."""
    try:
        return int(value) if isinstance(value, str) else int(str(value))
    except ValueError:
        number = float(value)
    if not number.is_integer():
        raise ValueError(value)
    return int(number)


def truth(value: Any) -> bool:
    """Whether what was typed means true.

    >>> truth("yes")
    True

    Raises:
        ValueError: It means neither true nor false.
    """
    text = str(value).lower()
    if text not in _TRUE + _FALSE:
        raise ValueError(value)
    return text in _TRUE
