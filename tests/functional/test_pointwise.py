"""Pointwise mutual information: golden numbers, and what is undefined."""

import json
import math
from typing import Any

import numpy as np
import pytest

from tests.support import SHARED, requires_shared
from uq_harness import functional
from uq_harness.errors import UQHarnessError
from uq_harness.functional import conditional_pmi, pointwise_mutual_information

NAMES = ("pointwise_mutual_information", "conditional_pmi")
GOLDEN = json.loads((SHARED / "golden/functional_more.json").read_text(encoding="utf-8")) if SHARED else {}
CASES = [(name, case) for name in NAMES for case in GOLDEN.get(name, ())]


@requires_shared
def test_there_are_golden_numbers() -> None:
    assert {name for name, _ in CASES} == set(NAMES)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_golden(name: str, case: dict[str, Any]) -> None:
    assert getattr(functional, name)(**case["inputs"]) == pytest.approx(case["expected"], abs=1e-9)


def test_an_answer_without_tokens_has_none() -> None:
    assert math.isnan(pointwise_mutual_information([], []))
    assert math.isnan(conditional_pmi([], [], []))


def test_the_first_unconditional_value_is_not_read() -> None:
    assert pointwise_mutual_information([-1.0, -2.0], [math.nan, -4.0]) == -0.5
    assert conditional_pmi([-1.0, -2.0], [math.nan, -4.0], [1.0, 1.0], weight=1.0) == -0.5


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 1), (2, 0), (2, 1)])
def test_nan_among_what_is_read_is_nan(place: tuple[int, int]) -> None:
    rows = np.array([[-1.0, -2.0], [-3.0, -4.0], [0.0, 0.0]])
    rows[place] = np.nan
    assert math.isnan(conditional_pmi(*rows))
    if place[0] < 2:
        assert math.isnan(pointwise_mutual_information(*rows[:2]))


def test_a_probability_of_0_counts_at_uncertain_tokens_alone() -> None:
    sure, uncertain = [1.0, 0.01], [1.0, 0.5]
    assert conditional_pmi([-1.0, -2.0], [-1.0, -math.inf], sure) == 1.5
    assert conditional_pmi([-1.0, -2.0], [-1.0, -math.inf], uncertain) == -math.inf
    assert conditional_pmi([-1.0, -2.0], [-1.0, -math.inf], uncertain, weight=0) == 1.5
    assert pointwise_mutual_information([-1.0, -math.inf], [-1.0, -2.0]) == math.inf


@pytest.mark.filterwarnings("error")
def test_a_token_that_is_impossible_both_ways_leaves_the_score_undefined() -> None:
    impossible = [-1.0, -math.inf]
    assert math.isnan(pointwise_mutual_information(impossible, impossible))
    assert math.isnan(conditional_pmi(impossible, impossible, [1.0, 1.0]))
    assert conditional_pmi(impossible, impossible, [1.0, 0.0]) == math.inf


def test_the_threshold_itself_is_uncertain() -> None:
    assert conditional_pmi([-1.0, -1.0], [0.0, -1.0], [9.0, 0.5], threshold=0.5, weight=2.0) == 0.0


def test_with_weight_1_and_threshold_0_both_are_one() -> None:
    values = -np.random.default_rng(0).exponential(size=(2, 9))
    entropies = np.linspace(0, 2, 9)
    both = conditional_pmi(*values, entropies, threshold=0, weight=1), pointwise_mutual_information(*values)
    assert both[0] == pytest.approx(both[1], abs=1e-12)


def test_rows_of_other_lengths_are_refused() -> None:
    with pytest.raises(UQHarnessError, match="same length"):
        pointwise_mutual_information([-1.0], [-1.0, -2.0])
    with pytest.raises(UQHarnessError, match="same length"):
        conditional_pmi([-1.0], [-1.0], [1.0, 2.0])
