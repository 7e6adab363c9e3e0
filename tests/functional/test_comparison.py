"""Paired AUROCs and Holm's correction: agreement with plain definitions, invariants, and error rates in simulation."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from tests.functional import brute_force
from uq_harness.errors import UQHarnessError
from uq_harness.functional import (
    aurc,
    auroc,
    auroc_covariance,
    auroc_stderr,
    holm,
    paired_accuracy,
    paired_aurc,
    paired_auroc,
    paired_prr,
    prr,
)

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=7)


@st.composite
def scored_twice(draw, labels=1):
    """Two scores with ties over the same rows, and label vectors with at least two rows of either class."""
    n = draw(st.integers(4, 30))
    scores = [np.array(draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n)), dtype=float) for _ in range(2)]
    corrects = [np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))) for _ in range(labels)]
    assume(all(2 <= correct.sum() <= n - 2 for correct in corrects))
    return *scores, *corrects


def two_models(random, n=150, shift=0.0):
    """Two models answer the same questions: difficulty makes correctness and scores go together."""
    difficulty = random.normal(size=n)
    corrects = [(random.normal(size=n) > 0.7 * difficulty).astype(int) for _ in range(2)]
    a, b = (random.normal(size=n) + 0.6 * difficulty for _ in range(2))
    return a - (1 + shift) * corrects[0], b - corrects[1], *corrects


@given(scored_twice())
def test_covariance_is_delongs(drawn):
    a, b, correct = drawn
    found = auroc_covariance([a, b], correct)
    np.testing.assert_allclose(found, brute_force.delong_of_the_paper([a, b], correct), atol=1e-12)
    np.testing.assert_allclose(np.sqrt(np.diag(found)), [auroc_stderr(a, correct), auroc_stderr(b, correct)])


@given(scored_twice())
def test_paired_difference_has_delongs_error(drawn):
    a, b, correct = drawn
    covariance = brute_force.delong_of_the_paper([a, b], correct)
    found = paired_auroc(a, b, correct)
    assert found.difference == pytest.approx(auroc(a, correct) - auroc(b, correct), abs=1e-12)
    assert found.stderr**2 == pytest.approx(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], abs=1e-12)


@given(scored_twice(labels=2))
def test_two_models_have_obuchowskis_error(drawn):
    a, b, correct_a, correct_b = drawn
    covariance = brute_force.delong_covariance([a, b], [correct_a, correct_b])
    found = paired_auroc(a, b, correct_a, correct_b)
    assert found.stderr**2 == pytest.approx(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], abs=1e-12)


def test_error_of_two_models_is_that_of_the_bootstrap():
    random = np.random.default_rng(0)
    a, b, correct_a, correct_b = two_models(random, n=400)
    resamples = random.integers(400, size=(2000, 400))
    differences = [auroc(a[rows], correct_a[rows]) - auroc(b[rows], correct_b[rows]) for rows in resamples]
    assert paired_auroc(a, b, correct_a, correct_b).stderr == pytest.approx(np.std(differences), rel=0.06)


@given(scored_twice(labels=2))
def test_swapping_the_two_mirrors_the_difference(drawn):
    a, b, correct_a, correct_b = drawn
    found, swapped = paired_auroc(a, b, correct_a, correct_b), paired_auroc(b, a, correct_b, correct_a)
    assert swapped.difference == -found.difference
    assert swapped.interval == (-found.interval[1], -found.interval[0])
    assert (swapped.stderr, swapped.p_value) == (found.stderr, found.p_value)


@given(scored_twice(labels=2), st.integers(0, 99))
def test_row_order_never_matters(drawn, seed):
    order = np.random.default_rng(seed).permutation(len(drawn[0]))
    assert paired_auroc(*(rows[order] for rows in drawn)) == paired_auroc(*drawn)


@given(scored_twice())
def test_the_same_ranking_is_no_difference(drawn):
    a, _, correct = drawn
    found = paired_auroc(a, np.exp(a), correct)
    area = auroc(a, correct)
    assert found == (0, 0, (0, 0), 1, len(a), area, area)


def test_interval_and_p_value_agree():
    random = np.random.default_rng(1)
    for _ in range(50):
        drawn = two_models(random, n=60)
        found = paired_auroc(*drawn)
        at_its_edge = paired_auroc(*drawn, level=1 - found.p_value)
        assert min(map(abs, at_its_edge.interval)) == pytest.approx(0, abs=1e-12)


def test_separated_without_fault_leaves_no_doubt():
    found = paired_auroc([1, 2, 3, 4], [4, 3, 2, 1], [1, 1, 0, 0])
    assert found == (1, 0, (1, 1), 0, 4, 1, 0)


@pytest.mark.parametrize("undefined", [np.nan, np.inf, None])
def test_rows_that_either_leaves_unscored_are_left_out_of_both(undefined):
    a, b, correct_a, correct_b = two_models(np.random.default_rng(2), n=30)
    with_gaps = [undefined, *a, 0.5], [0.5, *b, undefined], [1, *correct_a, 0], [0, *correct_b, 0]
    assert paired_auroc(*with_gaps) == paired_auroc(a, b, correct_a, correct_b)


def test_covariance_keeps_every_scores_own_rows():
    random = np.random.default_rng(3)
    correct = random.integers(2, size=40)
    scores = random.normal(size=(3, 40))
    scores[1, :5] = np.nan
    scores[2] = np.nan
    found = auroc_covariance(scores, correct)
    assert found[0, 0] == pytest.approx(auroc_stderr(scores[0], correct) ** 2)
    assert found[1, 1] == pytest.approx(auroc_stderr(scores[1], correct) ** 2)
    assert np.isnan(found[2]).all()
    assert np.isnan(found[:, 2]).all()


@pytest.mark.parametrize(
    ("correct", "difference"), [([1, 1, 1, 1], np.nan), ([0, 0, 0, 0], np.nan), ([1, 0, 0, 0], 1 / 3)]
)
def test_too_few_of_a_class_is_undefined(correct, difference):
    found = paired_auroc([2, 1, 3, 4], [2, 1, 3, 1], correct)
    np.testing.assert_allclose(found.difference, difference)
    assert np.isnan([found.stderr, *found.interval, found.p_value]).all()


def test_no_rows_are_undefined():
    assert np.isnan(paired_auroc([], [], []).p_value)
    assert auroc_covariance([], []).shape == (0, 0)


def test_interval_covers_and_the_test_keeps_its_level_between_methods():
    random, level, runs = np.random.default_rng(4), 0.9, 1500
    covered = 0
    for _ in range(runs):
        correct = random.integers(2, size=120)
        shared = random.normal(size=120) - correct
        a, b = (shared + random.normal(size=120) for _ in range(2))
        covered += paired_auroc(a, b, correct, level=level).p_value > 1 - level
    assert binomtest(covered, runs, level).pvalue > 0.001


def test_interval_covers_and_the_test_keeps_its_level_between_models():
    random, level, runs = np.random.default_rng(5), 0.9, 1500
    covered = sum(paired_auroc(*two_models(random)).p_value > 1 - level for _ in range(runs))
    assert binomtest(covered, runs, level).pvalue > 0.001


def test_interval_covers_a_true_difference():
    random, runs = np.random.default_rng(6), 1000
    truth = paired_auroc(*two_models(np.random.default_rng(7), n=400_000, shift=0.5)).difference
    intervals = [paired_auroc(*two_models(random, shift=0.5), level=0.9).interval for _ in range(runs)]
    covered = sum(low <= truth <= high for low, high in intervals)
    assert truth > 0.05
    assert binomtest(covered, runs, 0.9).pvalue > 0.001


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_accuracies_are_tested_by_mcnemar(pairs):
    a, b = np.array(pairs).T
    counts = [[(a & b).sum(), (a & ~b & 1).sum()], [(~a & b & 1).sum(), (1 - (a | b)).sum()]]
    found = paired_accuracy(a, b)
    assert found.p_value == pytest.approx(mcnemar(counts, exact=True).pvalue)
    assert found.difference == pytest.approx(a.mean() - b.mean())
    swapped = paired_accuracy(b, a)
    np.testing.assert_allclose(
        [swapped.difference, *swapped.interval], [-found.difference, *(-np.array(found.interval)[::-1])]
    )


@pytest.mark.parametrize(("only_first", "only_second"), [(0.2, 0.1), (0.02, 0.02), (0.3, 0.0)])
def test_interval_of_accuracies_covers(only_first, only_second):
    random, n, runs = np.random.default_rng(9), 80, 2000
    covered = 0
    for kind in random.choice(3, p=[only_first, only_second, 1 - only_first - only_second], size=(runs, n)):
        low, high = paired_accuracy(kind != 1, kind != 0, level=0.9).interval
        covered += low <= only_first - only_second <= high
    assert binomtest(covered, runs, 0.9, alternative="less").pvalue > 0.001


@pytest.mark.parametrize(("metric", "paired"), [(aurc, paired_aurc), (prr, paired_prr)])
@pytest.mark.parametrize("step", [0, 0.5])
def test_errors_of_aurc_and_prr_are_those_of_the_bootstrap(metric, paired, step):
    random = np.random.default_rng(10)
    a, b, correct_a, correct_b = two_models(random, n=400, shift=0.5)
    a, b = (np.round(u / step) * step if step else u for u in (a, b))
    resamples = random.integers(400, size=(1500, 400))
    differences = [metric(a[rows], correct_a[rows]) - metric(b[rows], correct_b[rows]) for rows in resamples]
    found = paired(a, b, correct_a, correct_b)
    assert found.difference == metric(a, correct_a) - metric(b, correct_b)
    assert found.stderr == pytest.approx(np.std(differences), rel=0.07)


@pytest.mark.parametrize("paired", [paired_aurc, paired_prr])
def test_intervals_of_aurc_and_prr_cover(paired):
    random, runs = np.random.default_rng(11), 600
    truth = paired(*two_models(np.random.default_rng(12), n=400_000, shift=0.5)).difference
    intervals = [paired(*two_models(random, n=250, shift=0.5), level=0.9).interval for _ in range(runs)]
    covered = sum(low <= truth <= high for low, high in intervals)
    assert binomtest(covered, runs, 0.9).pvalue > 0.001


@pytest.mark.parametrize("paired", [paired_aurc, paired_prr])
@given(drawn=scored_twice(labels=2), seed=st.integers(0, 99))
def test_row_order_never_matters_to_aurc_and_prr(paired, drawn, seed):
    order = np.random.default_rng(seed).permutation(len(drawn[0]))
    np.testing.assert_allclose(paired(*(rows[order] for rows in drawn))[1], paired(*drawn)[1], atol=1e-12)


@pytest.mark.parametrize("paired", [paired_aurc, paired_prr])
def test_aurc_and_prr_of_one_class_are_undefined(paired):
    assert np.isnan(paired([1, 2, 3], [3, 2, 1], [1, 1, 1]).p_value)
    assert np.isnan(paired([], [], []).p_value)
    assert paired([1, 2, 3, 4, np.nan], [1, 2, 3, 4, 5], [1, 0, 1, 0, 1]).p_value == 1


def test_paired_prr_has_no_error_with_a_single_wrong_answer():
    compared = paired_prr([1, 2, 3, 4], [2, 1, 3, 4], [1, 0, 1, 1])
    assert np.isfinite(compared.difference)
    assert np.isnan(compared.stderr)
    assert np.isnan(compared.p_value)


def test_accuracies_of_no_questions_are_undefined():
    assert np.isnan(paired_accuracy([], []).p_value)


@given(p_lists)
def test_holm_is_closed_testing_with_bonferroni(p_values):
    np.testing.assert_allclose(holm(p_values), brute_force.holm_by_closed_testing(p_values))


def test_holm_is_statsmodels():
    p_values = np.random.default_rng(8).random(100).round(2) ** 3
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1])


def test_holm_leaves_out_what_is_undefined():
    np.testing.assert_array_equal(holm([0.02, np.nan, 0.01]), [0.02, np.nan, 0.02])
    np.testing.assert_array_equal(holm([np.nan]), [np.nan])
    assert holm([]).shape == (0,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_auroc([1, 2], [1, 2, 3], [1, 0]), "uncertainty has 3, correct has 2"),
        (lambda: paired_auroc([1, 2], [1, 2, 3], [1, 0], [1, 0, 1]), "first has 2, second has 3"),
        (lambda: paired_auroc([1, 2], [1, 2], [1, 0], level=95), "level is 95, but must be between 0 and 1"),
        (lambda: auroc_covariance([1, 2], [1, 0]), r"uncertainties has shape \(2,\)"),
        (lambda: paired_accuracy([1, 0], [1, 2]), "second holds 2"),
        (lambda: paired_accuracy([1, 0], [1]), "first has 2, second has 1"),
        (lambda: holm([0.2, 1.2]), "p_values holds 1.2"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(UQHarnessError, match=message):
        call()
