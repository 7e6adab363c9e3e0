"""Curves and histograms against scikit-learn and plain definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_curve as sklearn_roc

from tests.report.runs import made_up
from uq_harness.functional import aurc, auroc
from uq_harness.report.curves import histogram, risk_at, risk_coverage_curve, roc_curve

rows = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 1.0, 2.0, float("nan")]), st.integers(0, 1)), min_size=1, max_size=40
)


@given(rows)
def test_the_area_under_the_roc_curve_is_the_auroc(pairs: list[tuple[float, int]]) -> None:
    scores, correct = map(list, zip(*pairs, strict=True))
    curve = roc_curve(scores, correct)
    if curve is None:
        assert np.isnan(auroc(scores, correct))
    else:
        assert np.trapezoid(curve.y, curve.x) == pytest.approx(auroc(scores, correct))


def test_the_roc_curve_is_scikit_learns() -> None:
    correct, scores = made_up(70)  # few enough to keep every point
    x, y, _ = sklearn_roc(1 - correct, scores["semgrad"], drop_intermediate=False)
    curve = roc_curve(scores["semgrad"], correct)
    assert np.allclose(curve.x, x)
    assert np.allclose(curve.y, y)


def test_thinned_curves_keep_ends_and_area() -> None:
    correct, scores = made_up(11_313)
    roc, risk = roc_curve(scores["g_nll"], correct), risk_coverage_curve(scores["g_nll"], correct)
    for curve in (roc, risk):
        assert len(curve.x) <= 82
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(roc.y, roc.x) == pytest.approx(auroc(scores["g_nll"], correct), abs=2e-3)
    assert risk.y[-1] == pytest.approx(1 - correct.mean())
    assert np.trapezoid(risk.y, risk.x) == pytest.approx(aurc(scores["g_nll"], correct), abs=2e-3)


def test_bands_are_wilsons_intervals_and_narrow_down_as_more_answers_are_given() -> None:
    from statsmodels.stats.proportion import proportion_confint

    correct, scores = made_up(400)
    curve = risk_coverage_curve(scores["g_nll"], correct, start=0.05)
    assert curve.x[0] == 0.05
    given = np.rint(curve.x * 400)
    low, high = proportion_confint(curve.y * given, given, method="wilson")
    assert np.allclose(curve.low, low, atol=1e-12)
    assert np.allclose(curve.high, high)
    assert curve.high[-1] - curve.low[-1] < (curve.high[0] - curve.low[0]) / 2
    roc = roc_curve(scores["g_nll"], correct)
    low, high = proportion_confint(roc.y * (correct == 0).sum(), (correct == 0).sum(), method="wilson")
    assert np.allclose(roc.low, low, atol=1e-12)
    assert np.allclose(roc.high, high)


def test_risk_at_a_coverage_is_the_error_rate_of_the_most_certain() -> None:
    correct, scores = made_up(200)
    surest = np.argsort(scores["sar"])[:100]
    assert risk_at(scores["sar"], correct, [0.5])[0] == pytest.approx(1 - correct[surest].mean())
    assert np.isnan(risk_at([np.nan], [1], [0.5])[0])


@given(rows)
def test_histograms_hold_every_scored_answer(pairs: list[tuple[float, int]]) -> None:
    scores, correct = map(np.array, zip(*pairs, strict=True))
    found = histogram(scores, correct)
    finite = np.isfinite(scores)
    if found is None:
        assert not finite.any()
        return
    assert found.correct.sum() == pytest.approx(float((correct[finite] == 1).any()))
    assert found.wrong.sum() == pytest.approx(float((correct[finite] == 0).any()))
    assert (np.diff(found.edges) > 0).all()


def test_scores_over_many_orders_of_magnitude_are_binned_on_a_logarithmic_scale() -> None:
    correct, scores = made_up(500)
    assert histogram(np.exp(4 * np.log(scores["g_nll"])), correct).logarithmic
    assert not histogram(np.log(scores["g_nll"]), correct).logarithmic
