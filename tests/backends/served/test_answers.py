"""An engine's log-probabilities as they are read: float32's rounding, and what is none."""

import math

import numpy as np
import pytest

from uq_harness.backends.served.answers import Written, log_probabilities
from uq_harness.backends.served.requests import Choice
from uq_harness.errors import UQHarnessError
from uq_harness.evidence.prompt import StopCriteria

STOP = StopCriteria(frozenset({2}), 4, lambda tokens: ("text", range(len(tokens))))


def test_what_rounding_puts_above_zero_becomes_zero() -> None:
    assert log_probabilities([-0.5, 1e-7, -1e-7, 0.0], 4).tolist() == [-0.5, 0.0, -1e-7, 0.0]
    written = Written.read(Choice((5, 6), np.array([1e-7, -0.5])), STOP)
    assert written.logprobs.tolist() == [0.0, -0.5]


def test_what_is_not_told_stays_so() -> None:
    first, second = log_probabilities([math.nan, 1e-7], 2)
    assert math.isnan(first)
    assert second == 0


def test_no_logarithm_of_a_probability_is_an_error() -> None:
    with pytest.raises(UQHarnessError, match=r"0\.5 as a log-probability: it cannot be used"):
        log_probabilities([-0.5, 0.5], 2)
    with pytest.raises(UQHarnessError, match="2 log-probabilities for 3 tokens"):
        log_probabilities([-0.5, -0.5], 3)
