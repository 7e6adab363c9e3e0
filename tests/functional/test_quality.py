"""AUROC, AURC and PRR: invariants, and agreement with independent definitions."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tests.functional import brute_force
from tests.functional.strategies import rankings
from uq_harness.errors import UQHarnessError
from uq_harness.functional import aurc, auroc, auroc_stderr, prr, risk_coverage

METRICS = [auroc, auroc_stderr, aurc, prr]
every_metric = pytest.mark.parametrize("metric", METRICS)


def continuous(n=200, seed=0):
    random = np.random.default_rng(seed)
    correct = random.integers(2, size=n)
    return random.normal(size=n) - correct, correct


@given(rankings())
def test_auroc_is_scikit_learns(ranking):
    uncertainty, correct = ranking
    assert auroc(uncertainty, correct) == pytest.approx(roc_auc_score(1 - correct, uncertainty), abs=1e-12)


@given(rankings(max_size=5))
def test_aurc_is_the_mean_over_all_orders_of_ties(ranking):
    uncertainty, correct = ranking
    assert aurc(uncertainty, correct) == pytest.approx(
        brute_force.aurc_over_tie_orders(uncertainty, correct), abs=1e-12
    )


def test_aurc_of_large_tie_groups_is_the_mean_over_random_orders():
    uncertainty, correct = continuous()
    uncertainty = np.round(uncertainty)
    mean, error = brute_force.aurc_over_random_orders(uncertainty, correct, n_orders=500, seed=1)
    assert abs(aurc(uncertainty, correct) - mean) < 5 * error


@given(rankings())
def test_aurc_is_the_mean_of_the_risk_coverage_curve(ranking):
    assert aurc(*ranking) == pytest.approx(risk_coverage(*ranking).mean(), abs=1e-12)


@given(rankings())
def test_risk_at_full_coverage_is_the_error_rate(ranking):
    assert risk_coverage(*ranking)[-1] == pytest.approx(1 - ranking[1].mean())


@given(rankings())
def test_auroc_stderr_is_delongs(ranking):
    uncertainty, correct = ranking
    assume(2 <= correct.sum() <= len(correct) - 2)
    assert auroc_stderr(uncertainty, correct) == pytest.approx(
        brute_force.delong_stderr(uncertainty, correct), abs=1e-12
    )


@every_metric
@given(ranking=rankings(), seed=st.integers(0, 99))
def test_row_order_never_matters(metric, ranking, seed):
    uncertainty, correct = ranking
    order = np.random.default_rng(seed).permutation(len(correct))
    np.testing.assert_equal(metric(uncertainty[order], correct[order]), metric(uncertainty, correct))


@every_metric
@pytest.mark.parametrize("transform", [lambda u: u + 17.5, lambda u: 1e-9 * u, np.exp, np.arctan])
@given(ranking=rankings())
def test_increasing_transforms_change_nothing(metric, transform, ranking):
    uncertainty, correct = ranking
    np.testing.assert_equal(metric(transform(uncertainty), correct), metric(uncertainty, correct))


@given(rankings())
def test_repeating_all_rows_leaves_auroc(ranking):
    uncertainty, correct = ranking
    repeated = auroc(np.tile(uncertainty, 3), np.tile(correct, 3))
    assert repeated == pytest.approx(auroc(uncertainty, correct), abs=1e-12)


@given(rankings())
def test_negating_the_score_mirrors_auroc(ranking):
    uncertainty, correct = ranking
    assert auroc(-uncertainty, correct) == pytest.approx(1 - auroc(uncertainty, correct), abs=1e-12)
    np.testing.assert_allclose(auroc_stderr(-uncertainty, correct), auroc_stderr(uncertainty, correct), atol=1e-12)


@given(rankings())
def test_bounds(ranking):
    uncertainty, correct = ranking
    assert 0 <= auroc(uncertainty, correct) <= 1
    assert aurc(correct == 0, correct) - 1e-12 <= aurc(uncertainty, correct) <= aurc(correct, correct) + 1e-12
    assert prr(uncertainty, correct) <= 1 + 1e-12


@given(rankings())
def test_oracle_has_the_best_values(ranking):
    _, correct = ranking
    assert auroc(1 - correct, correct) == 1
    assert prr(1 - correct, correct) == 1


@given(rankings())
def test_constant_score_tells_nothing(ranking):
    _, correct = ranking
    constant = np.full(len(correct), 0.25)
    assert auroc(constant, correct) == 0.5
    assert prr(constant, correct) == 0
    assert aurc(constant, correct) == pytest.approx(1 - correct.mean(), abs=1e-15)
    np.testing.assert_allclose(risk_coverage(constant, correct), 1 - correct.mean())


@every_metric
@pytest.mark.parametrize("correct", [[1, 1, 1], [0, 0, 0], []])
def test_one_class_or_none_is_undefined(metric, correct):
    assert np.isnan(metric(np.arange(len(correct)), correct))


@every_metric
def test_no_finite_score_is_undefined(metric):
    assert np.isnan(metric([np.nan, np.inf, -np.inf, None], [1, 0, 1, 0]))


@every_metric
@pytest.mark.parametrize("undefined", [np.nan, np.inf, -np.inf, None])
def test_rows_without_a_finite_score_are_left_out(metric, undefined):
    uncertainty, correct = continuous(n=20)
    assert metric([undefined, *uncertainty, undefined], [0, *correct, 1]) == metric(uncertainty, correct)


def test_one_class_among_the_scored_rows_is_undefined():
    assert np.isnan(auroc([0.1, 0.2, np.nan], [1, 1, 0]))


def test_risk_coverage_of_one_class_is_flat():
    assert risk_coverage([0.1, 0.2], [1, 1]).tolist() == [0, 0]
    assert risk_coverage([0.1, 0.2], [0, 0]).tolist() == [1, 1]
    assert risk_coverage([np.nan], [0]).shape == (0,)


@pytest.mark.parametrize("correct", [[1, 0, 0, 0], [0, 1, 1, 1]])
def test_delong_needs_two_of_each_class(correct):
    assert np.isnan(auroc_stderr([0.1, 0.2, 0.3, 0.4], correct))


def test_minus_zero_and_zero_are_a_tie():
    assert auroc([-0.0, 0.0], [1, 0]) == 0.5


def test_neighbouring_floats_are_no_tie():
    assert auroc([1.0, np.nextafter(1.0, 2.0)], [1, 0]) == 1


def test_booleans_are_correctness():
    uncertainty, correct = continuous(n=20)
    assert auroc(uncertainty, correct.astype(bool)) == auroc(uncertainty, correct)


@every_metric
@pytest.mark.parametrize(
    ("uncertainty", "correct", "message"),
    [
        ([0.1, 0.2], [1, 0, 1], "uncertainty has 2, correct has 3"),
        ([[0.1], [0.2]], [1, 0], r"shape \(2, 1\)"),
        ([0.1, 0.2], [1, 2], "correct holds 2"),
        ([0.1, 0.2], [1, np.nan], "correct holds nan"),
        (["high", "low"], [1, 0], "uncertainty must hold numbers"),
    ],
)
def test_wrong_arguments_are_named(metric, uncertainty, correct, message):
    with pytest.raises(UQHarnessError, match=message):
        metric(uncertainty, correct)
