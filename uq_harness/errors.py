"""The error that users see: what was given, what is allowed, how to fix it."""


class UQHarnessError(ValueError):
    """Wrong use of uq-harness, found before any work was lost.

    The message stands alone: it names the value that was given, the values that are allowed and the fix. The command
    line prints it without a traceback.
    """


def one_of(names: list[str]) -> str:
    """Lists alternatives for a message: ``a``, ``a or b``, ``a, b or c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
