"""The bootstrap: agreement with a plain loop, invariants, speed and undefined cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.functional import brute_force
from tests.functional.strategies import rankings
from uq_harness import functional
from uq_harness.errors import UQHarnessError
from uq_harness.functional import aurc_stderr, auroc_stderr, bootstrap_stderr, prr_stderr


def ranking(n, ties=False, seed=0):
    random = np.random.default_rng(seed)
    correct = random.integers(2, size=n)
    uncertainty = random.normal(size=n) - correct
    return (np.round(uncertainty) if ties else uncertainty), correct


@pytest.mark.parametrize("metric", ["auroc", "aurc", "prr"])
@pytest.mark.parametrize("ties", [False, True])
def test_agrees_with_a_plain_loop(metric, ties):
    uncertainty, correct = ranking(60, ties)
    fast = getattr(bootstrap_stderr(uncertainty, correct, n_resamples=4000), metric)
    slow = brute_force.bootstrap_values(getattr(functional, metric), uncertainty, correct, n_resamples=1500, seed=1)
    # A standard deviation over R resamples is off by about 1/sqrt(2 R), here 2 %.
    assert fast == pytest.approx(slow.std(ddof=1), rel=0.1)


@pytest.mark.parametrize("metric", ["auroc", "aurc", "prr"])
def test_equals_the_metric_on_the_very_same_resamples(metric):
    uncertainty, correct = ranking(40, ties=True)
    order = np.lexsort((1 - correct, uncertainty))
    slow = brute_force.bootstrap_values(
        getattr(functional, metric), uncertainty[order], correct[order], n_resamples=50, seed=3
    )
    fast = getattr(bootstrap_stderr(uncertainty, correct, n_resamples=50, seed=3), metric)
    assert fast == pytest.approx(slow.std(ddof=1), rel=1e-9)


def test_agrees_with_delong():
    uncertainty, correct = ranking(1000)
    assert bootstrap_stderr(uncertainty, correct).auroc == pytest.approx(auroc_stderr(uncertainty, correct), rel=0.1)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_agrees_with_the_jackknife(ties, share):
    random = np.random.default_rng(0)
    correct = (random.random(3000) < share).astype(int)
    uncertainty = random.normal(size=3000) - correct
    uncertainty = np.round(uncertainty) if ties else uncertainty
    drawn = bootstrap_stderr(uncertainty, correct, n_resamples=3000)
    assert aurc_stderr(uncertainty, correct) == pytest.approx(drawn.aurc, rel=0.05)
    assert prr_stderr(uncertainty, correct) == pytest.approx(drawn.prr, rel=0.05)
    order = random.permutation(3000)
    assert aurc_stderr(uncertainty[order], correct[order]) == pytest.approx(aurc_stderr(uncertainty, correct))


@pytest.mark.parametrize("correct", [[1, 1, 1], [0, 0, 0], []])
def test_the_jackknife_of_one_class_or_none_is_undefined(correct):
    assert np.isnan(aurc_stderr(np.arange(len(correct)), correct))
    assert np.isnan(prr_stderr(np.arange(len(correct)), correct))


@pytest.mark.parametrize("kind", [0, 1])
def test_a_single_answer_of_a_kind_has_no_error_of_its_place(kind):
    correct = np.full(6, 1 - kind)
    correct[5] = kind
    errors = bootstrap_stderr(np.arange(6.0), correct)
    assert np.isnan([errors.auroc, errors.prr]).all()
    assert errors.aurc > 0


@given(rankings(), st.integers(0, 99))
@settings(max_examples=30)
def test_row_order_never_matters(rows, seed):
    uncertainty, correct = rows
    order = np.random.default_rng(seed).permutation(len(correct))
    shuffled = bootstrap_stderr(uncertainty[order], correct[order], n_resamples=20)
    np.testing.assert_equal(shuffled, bootstrap_stderr(uncertainty, correct, n_resamples=20))


@given(rankings())
@settings(max_examples=30)
def test_increasing_transforms_change_nothing(rows):
    uncertainty, correct = rows
    np.testing.assert_equal(
        bootstrap_stderr(np.exp(uncertainty), correct, n_resamples=20),
        bootstrap_stderr(uncertainty, correct, n_resamples=20),
    )


def test_a_seed_repeats_and_another_differs():
    rows = ranking(50)
    assert bootstrap_stderr(*rows, seed=1) == bootstrap_stderr(*rows, seed=1)
    assert bootstrap_stderr(*rows, seed=1) != bootstrap_stderr(*rows, seed=2)


def test_how_many_are_drawn_at_once_does_not_matter(monkeypatch):
    rows = ranking(50, ties=True)
    at_once = bootstrap_stderr(*rows, n_resamples=30)
    monkeypatch.setattr("uq_harness.functional._bootstrap._ROWS_AT_ONCE", 1)
    assert bootstrap_stderr(*rows, n_resamples=30) == pytest.approx(at_once, rel=1e-12)


@pytest.mark.parametrize("correct", [[1, 1, 1], [0, 0, 0], []])
def test_one_class_or_none_is_undefined(correct):
    assert np.isnan(bootstrap_stderr(np.arange(len(correct)), correct)).all()


def test_one_class_resamples_are_left_out():
    errors = bootstrap_stderr([0.1, 0.2, 0.3, 0.4], [1, 1, 0, 0], n_resamples=200)
    assert not np.isnan(errors).any()
    assert errors.auroc == 0  # every resample with both classes is in perfect order


def test_rows_without_a_finite_score_are_left_out():
    uncertainty, correct = ranking(30)
    assert bootstrap_stderr([np.nan, np.inf, *uncertainty], [0, 1, *correct]) == bootstrap_stderr(uncertainty, correct)


def test_one_resample_is_too_few():
    with pytest.raises(UQHarnessError, match="n_resamples is 1"):
        bootstrap_stderr([0.1, 0.2], [1, 0], n_resamples=1)
