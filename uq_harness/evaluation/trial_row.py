"""Rows for trying a task's functions on them: nothing that a function does to one, or draws, is there afterwards."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np


class TrialRow(dict[str, Any]):
    """A copy of a row that knows which of its columns were read.

    Its lists, mappings and arrays are copies too, since a function may shuffle them where they stand.

    >>> row = TrialRow({"question": "Who?", "answers": ["Ada"]})
    >>> row["question"]
    'Who?'
    >>> row.read
    {'question'}
    """

    def __init__(self, row: Mapping[str, Any]) -> None:
        super().__init__({name: _copied(value) for name, value in row.items()})
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """See `dict.get`; the column counts as read."""
        self.read.add(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        """See `dict.pop`; the column counts as read."""
        self.read.add(name)
        return super().pop(name, *default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """See `dict.setdefault`; the column counts as read."""
        self.read.add(name)
        return super().setdefault(name, default)

    def __iter__(self) -> Iterator[str]:  # without a method of its own, dict(row) and **row take the values unseen
        return super().__iter__()

    def items(self) -> Any:
        """See `dict.items`; all columns count as read."""
        return self._all().items()

    def values(self) -> Any:
        """See `dict.values`; all columns count as read."""
        return self._all().values()

    def copy(self) -> dict[str, Any]:
        """See `dict.copy`; all columns count as read."""
        return self._all()

    def __or__(self, other: Any) -> Any:
        return self._all() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._all()

    def __repr__(self) -> str:
        return repr(self._all())

    def _all(self) -> dict[str, Any]:
        return {name: self[name] for name in self}


@contextmanager
def same_random_numbers() -> Iterator[None]:
    """Inside, ``random`` and ``numpy.random`` draw what they would draw next; afterwards, they draw it again."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002, what such functions use
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)  # noqa: NPY002


def _copied(value: Any) -> Any:
    return deepcopy(value) if isinstance(value, list | dict | np.ndarray) else value
