"""CoCoA: its formula, its four methods, and what they do where the evidence is odd."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.sampled import ANSWER
from uq_harness import functional
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import AnswerSimilarity, Evidence, Samples
from uq_harness.methods import build_methods, scores

NAMES = ("cocoa_msp", "cocoa_ppl", "cocoa_mte", "dissimilarity")
TEN = Samples(10, 1.0)


def found(similarity: list[float], **answer: Any) -> dict[str, float]:
    """The scores of all four methods."""
    values = {TEN: (), AnswerSimilarity(TEN): np.array(similarity, dtype=np.float64)}
    return scores(build_methods("+".join(NAMES), {}), Evidence("Who?", replace(ANSWER, **answer), values))


def test_each_is_an_uncertainty_of_the_answer_times_its_dissimilarity_from_the_samples() -> None:
    """The answer's tokens have log-probabilities -0.5 and -0.25, and entropies 1 and 0.5."""
    expected = {"dissimilarity": 0.25, "cocoa_msp": 0.75 / 4, "cocoa_ppl": 0.375 / 4, "cocoa_mte": 0.75 / 4}
    assert found([1.0, 0.5, 0.75]) == pytest.approx(expected)


def test_samples_that_all_equal_the_answer_are_sure() -> None:
    assert found([1.0] * 10) == dict.fromkeys(NAMES, 0.0)
    impossible = {"logprobs": np.array([-np.inf]), "entropies": np.array([1.0])}
    assert found([1.0] * 10, **impossible) == dict.fromkeys(NAMES, 0.0)


def test_an_impossible_answer_that_samples_do_not_resemble_is_infinitely_uncertain() -> None:
    value = found([0.5], logprobs=np.array([-np.inf, -1.0]), entropies=np.array([1.0, 1.0]))
    assert value == {"cocoa_msp": math.inf, "cocoa_ppl": math.inf, "cocoa_mte": 0.5, "dissimilarity": 0.5}


def test_an_answer_without_tokens_has_a_dissimilarity_alone() -> None:
    value = found([0.5], logprobs=np.zeros(0), entropies=np.zeros(0))
    assert value.pop("dissimilarity") == 0.5
    assert all(map(math.isnan, value.values()))


@pytest.mark.parametrize("similarity", [[], [0.5, math.nan]])
def test_without_samples_or_with_an_unknown_similarity_it_is_undefined(similarity: list[float]) -> None:
    assert all(map(math.isnan, found(similarity).values()))


def test_an_unknown_uncertainty_is_undefined_also_where_all_are_alike() -> None:
    assert math.isnan(functional.cocoa(math.nan, [1.0]))


def test_a_similarity_outside_0_to_1_is_refused() -> None:
    with pytest.raises(UQHarnessError, match=r"similarity holds 1.5, but must be between 0 and 1"):
        functional.cocoa(1.0, [0.5, 1.5])


@given(st.permutations([0.1, 0.9, 0.9, 0.4, 1.0]))
def test_the_order_of_samples_does_not_matter(similarity: list[float]) -> None:
    assert functional.cocoa(2.0, similarity) == pytest.approx(functional.cocoa(2.0, [0.1, 0.9, 0.9, 0.4, 1.0]))
