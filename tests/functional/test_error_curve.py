"""From score to probability of error, and how far it holds."""

import numpy as np
import pytest
from hypothesis import given
from sklearn.isotonic import IsotonicRegression
from statsmodels.stats.proportion import proportion_confint

from tests.functional.strategies import rankings
from uq_harness.functional import calibration_error, error_curve, reliability


@given(rankings())
def test_curve_is_scikit_learns_isotonic_regression(ranking):
    scores, correct = ranking
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, 1 - correct)
    at = np.linspace(-7, 7, 30)
    np.testing.assert_allclose(error_curve(scores, correct)(at), fitted.predict(at), atol=1e-12)


@given(rankings())
def test_probabilities_never_fall_and_average_to_the_error_rate(ranking):
    scores, correct = ranking
    curve = error_curve(scores, correct)
    assert (np.diff(curve.probabilities) >= 0).all()
    assert curve(scores).mean() == pytest.approx(1 - correct.mean())


def test_rows_without_a_finite_score_are_left_out():
    curve = error_curve([0.1, np.nan, 0.3, np.inf], [1, 0, 0, 1])
    assert curve([0.1, 0.2, 0.3]).tolist() == pytest.approx([0, 0.5, 1])
    assert np.isnan(curve(np.nan))


@given(rankings(max_size=100))
def test_bins_hold_every_answer_once(ranking):
    scores, correct = ranking
    predicted = error_curve(scores, correct)(scores)
    bins = reliability(predicted, correct)
    assert sum(b.n for b in bins) == len(scores)
    assert sum(b.n * b.observed for b in bins) == pytest.approx((correct == 0).sum())
    assert sum(b.n * b.predicted for b in bins) == pytest.approx(predicted.sum())
    assert [b.predicted for b in bins] == sorted(b.predicted for b in bins)


def test_bins_are_about_equally_large():
    random = np.random.default_rng(0)
    assert {b.n for b in reliability(random.random(1000), random.integers(2, size=1000))} == {100}


@given(rankings(max_size=100))
def test_intervals_are_clopper_and_pearsons(ranking):
    for b in reliability(*[(ranking[0] + 5) / 10, ranking[1]]):
        expected = proportion_confint(round(b.observed * b.n), b.n, method="beta")
        np.testing.assert_allclose(b.interval, expected, atol=1e-12)


@pytest.mark.parametrize(("shift", "error"), [(0.0, 0.0), (0.2, 0.2)])
def test_calibration_error_is_the_mean_distance(shift, error):
    random = np.random.default_rng(1)
    truth = 0.7 * random.random(100_000)
    wrong = random.random(100_000) < truth
    assert calibration_error(reliability(truth + shift, ~wrong)) == pytest.approx(error, abs=0.01)


def test_no_answers_have_no_calibration_error():
    assert reliability([], []) == []
    assert np.isnan(calibration_error([]))
