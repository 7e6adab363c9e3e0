"""Claim-conditioned probability beyond the golden numbers: relations, logarithms, and what is undefined."""

import math

import numpy as np
import pytest

from uq_harness.errors import UQHarnessError
from uq_harness.functional import claim_conditioned_probability

ALIKE, UNLIKE, NEITHER = [2, 2], [0, 0], [1, 1]


def logs(*probabilities: float) -> list[float]:
    return [math.log(one) if one else -math.inf for one in probabilities]


@pytest.mark.parametrize(
    ("labels", "share"),
    [
        (ALIKE, 1.0),
        ([2, 1], 1.0),
        ([1, 2], 1.0),
        (UNLIKE, 0.75),
        ([0, 1], 0.75),
        ([1, 0], 0.75),
        (NEITHER, 1.0),
        ([0, 2], 1.0),
        ([2, 0], 1.0),
    ],
)
def test_two_labels_make_one_relation(labels: list[int], share: float) -> None:
    found = claim_conditioned_probability([logs(0.6, 0.2)], [[ALIKE, labels]])
    assert found == pytest.approx(-math.log(share))


def test_what_entails_counts_with_the_token_and_what_is_neutral_counts_nowhere() -> None:
    found = claim_conditioned_probability([logs(0.3, 0.2, 0.4, 0.1)], [[NEITHER, ALIKE, NEITHER, UNLIKE]])
    assert found == pytest.approx(-math.log(0.5 / 0.6))


def test_the_labels_of_the_token_itself_are_not_read() -> None:
    for own in (ALIKE, UNLIKE, NEITHER, [math.nan, math.nan]):
        assert claim_conditioned_probability([logs(0.6, 0.2)], [[own, UNLIKE]]) == pytest.approx(-math.log(0.75))


def test_long_answers_do_not_underflow() -> None:
    found = claim_conditioned_probability([logs(0.5, 0.5)] * 5000, [[ALIKE, UNLIKE]] * 5000)
    assert found == pytest.approx(5000 * math.log(2))
    assert claim_conditioned_probability([[-2000.0, -2001.0]], [[ALIKE, UNLIKE]]) == pytest.approx(
        math.log1p(math.exp(-1))
    )


def test_an_improbable_contradiction_is_not_lost_beside_1() -> None:
    assert claim_conditioned_probability([[0.0, -50.0]], [[ALIKE, UNLIKE]]) == pytest.approx(math.exp(-50))


def test_a_probability_of_0() -> None:
    assert claim_conditioned_probability([logs(0.0, 0.5)], [[ALIKE, UNLIKE]]) == math.inf
    assert claim_conditioned_probability([logs(0.5, 0.0)], [[ALIKE, UNLIKE]]) == 0
    assert claim_conditioned_probability([logs(0.0, 0.5)], [[ALIKE, NEITHER]]) == 0
    assert claim_conditioned_probability([logs(0.0, 0.0)], [[ALIKE, UNLIKE]]) == 0


def test_no_tokens_and_nan_are_undefined() -> None:
    assert math.isnan(claim_conditioned_probability([], []))
    assert math.isnan(claim_conditioned_probability(np.zeros((0, 10)), np.zeros((0, 10, 2))))
    for place in range(3):
        values = np.array([logs(0.5, 0.3, 0.1)])
        values[0, place] = np.nan
        assert math.isnan(claim_conditioned_probability(values, [[ALIKE, UNLIKE, NEITHER]]))
    assert math.isnan(claim_conditioned_probability([logs(0.5, 0.3)], [[ALIKE, [2, math.nan]]]))


def test_the_order_of_alternatives_does_not_matter() -> None:
    generator = np.random.default_rng(3)
    values, labels = -generator.exponential(2, (4, 6)), generator.integers(0, 3, (4, 6, 2))
    order = [0, *(1 + generator.permutation(5))]
    assert claim_conditioned_probability(values[:, order], labels[:, order]) == pytest.approx(
        claim_conditioned_probability(values, labels), rel=1e-12
    )


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UQHarnessError, match=r"labels has shape \(1, 1, 2\), but must be \(1, 2, 2\)"):
        claim_conditioned_probability([[-1.0, -2.0]], [[ALIKE]])
    with pytest.raises(UQHarnessError, match="labels holds 3, but must be 0 contradiction, 1 neutral or 2 entailment"):
        claim_conditioned_probability([[-1.0, -2.0]], [[ALIKE, [3, 1]]])
    with pytest.raises(UQHarnessError, match=r"logprobs holds 0\.5, but a log-probability is at most 0"):
        claim_conditioned_probability([[0.5, -2.0]], [[ALIKE, UNLIKE]])
