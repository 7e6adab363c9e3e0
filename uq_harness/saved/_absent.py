"""What a file does not hold, in the place where a method would read it."""

from __future__ import annotations

from typing import Any, NoReturn


class LackingEvidence(Exception):
    """A method has asked for something that the file does not hold.

    Attributes:
        what: What is lacking.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Absent:
    """Stands for an array that is not there: whoever reads it learns what is lacking.

    >>> import numpy as np
    >>> np.asarray(Absent("token log-probabilities")).sum()
    Traceback (most recent call last):
        ...
    uq_harness.saved._absent.LackingEvidence: token log-probabilities
    """

    def __init__(self, what: str) -> None:
        self._what = what

    def _lack(self, *arguments: Any, **keywords: Any) -> NoReturn:
        raise LackingEvidence(self._what)

    __array__ = __len__ = __iter__ = __getitem__ = __bool__ = __float__ = _lack
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __neg__ = _lack

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what NumPy and others look for before they read
            raise AttributeError(name)
        return self._lack()
