"""Arguments as float64 arrays: conversion, and messages that say what was given and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uq_harness.errors import UQHarnessError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Above what rounding of a float16 log-softmax leaves, below any probability that was meant to be one.
_LOGPROB_SLACK = 1e-3
_UNIT_SLACK = 1e-6


def as_floats(name: str, values: ArrayLike, ndim: int) -> FloatArray:
    """A float64 array of ``ndim`` dimensions; an empty argument is an empty array of any number of dimensions."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise UQHarnessError(f"{name} must hold numbers in {ndim} dimension(s), rows of equal length") from None
    if array.size == 0:
        return array.reshape((0,) * ndim)
    if array.ndim != ndim:
        raise UQHarnessError(f"{name} has shape {array.shape}, but must have {ndim} dimension(s)")
    return array


def as_integers(name: str, values: ArrayLike, ndim: int) -> IntArray:
    """An int64 array of ``ndim`` dimensions; fractions are an error."""
    array = as_floats(name, values, ndim)
    fractions = array[~np.isfinite(array) | (array != np.floor(array))]
    if fractions.size:
        raise UQHarnessError(f"{name} holds {fractions[0]:g}, but must hold whole numbers")
    return array.astype(np.int64)


def as_logprobs(name: str, values: ArrayLike) -> FloatArray:
    """One-dimensional log-probabilities; a value clearly above zero is an error, ``nan`` passes."""
    array = as_floats(name, values, ndim=1)
    positive = array[array > _LOGPROB_SLACK]
    if positive.size:
        raise UQHarnessError(
            f"{name} holds {positive[0]:g}, but a log-probability is at most 0: pass log p, neither p nor -log p"
        )
    return array


def as_logprob_lists(name: str, values: Iterable[ArrayLike]) -> list[FloatArray]:
    """One array of token log-probabilities a sample; samples may differ in length."""
    return [as_logprobs(f"{name}[{index}]", tokens) for index, tokens in enumerate(values)]


def as_unit_interval(name: str, values: ArrayLike, ndim: int) -> FloatArray:
    """Numbers from 0 to 1, cleared of what rounding put outside; ``nan`` passes."""
    array = as_floats(name, values, ndim)
    outside = array[(array < -_UNIT_SLACK) | (array > 1 + _UNIT_SLACK)]
    if outside.size:
        raise UQHarnessError(f"{name} holds {outside[0]:g}, but must be between 0 and 1")
    return np.clip(array, 0.0, 1.0)


def check_square(name: str, array: NDArray[Any], size: int | None = None) -> None:
    """Raises unless the matrix is square, and of the given size if there is one."""
    wanted = array.shape[0] if size is None else size
    if array.shape != (wanted, wanted):
        allowed = "square" if size is None else f"{size} by {size}, a row and a column for each sample"
        raise UQHarnessError(f"{name} has shape {array.shape}, but must be {allowed}")


def check_lengths(**arguments: Sized) -> None:
    """Raises unless all arguments have the same length."""
    lengths = {name: len(values) for name, values in arguments.items()}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise UQHarnessError(f"{' and '.join(lengths)} must have the same length: {given}")


def check_positive(name: str, value: float) -> None:
    """Raises unless the number is above zero."""
    if not value > 0:
        raise UQHarnessError(f"{name} is {value!r}, but must be above 0")


def check_not_negative(name: str, value: float) -> None:
    """Raises unless the number is zero or above."""
    if not value >= 0:
        raise UQHarnessError(f"{name} is {value!r}, but must be 0 or more")


def mean_or_nan(array: FloatArray) -> float:
    """The mean; ``nan`` for an empty array, without NumPy's warning."""
    return float(array.mean()) if array.size else float("nan")
