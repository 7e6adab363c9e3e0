"""The error that users see: what was given, what is allowed, how to fix it."""

import difflib
from collections.abc import Iterable


class UQHarnessError(ValueError):
    """Wrong use of uq-harness, found before any work was lost.

    The message is complete by itself: it names the value that was given, the values that are allowed and the fix. The
    command line prints it without a traceback.
    """


def one_of(names: list[str]) -> str:
    """Lists alternatives for a message: ``a``, ``a or b``, ``a, b or c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def close_names(name: str, known: Iterable[str], most: int = 3, cutoff: float = 0.6) -> list[str]:
    """Known names that resemble a name, the most similar first.

    Args:
        name: The name that was given.
        known: The names that there are.
        most: How many are given at most.
        cutoff: How similar they must be, from 0 to 1.
    """
    return difflib.get_close_matches(name, list(known), most, cutoff)


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """The hint of a message about an unknown name.

    >>> did_you_mean("semgard", ["semgrad", "p_true"], "known are semgrad, p_true")
    'did you mean semgrad?'
    """
    close = close_names(name, known)
    return f"did you mean {one_of(close)}?" if close else otherwise
