"""The threshold for abstaining: agreement with its plain definition, and whether its promise is kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from tests.functional.strategies import rankings
from uq_harness.errors import UQHarnessError
from uq_harness.functional import control_risk

TARGET, DELTA = 0.1, 0.2


def continuous(random, n):
    """Errors grow with the score; below t the error rate is 0.3 t."""
    scores = random.random(n)
    return scores, random.random(n) > 0.6 * scores


def coarse(random, n):
    """The same with ten scores only."""
    scores = random.integers(10, size=n) / 10
    return scores, random.random(n) > 0.6 * scores


def hopeless(random, n):
    """The score tells nothing and too much is wrong, so that every threshold breaks the promise."""
    return random.random(n), random.random(n) > TARGET + 0.005


def backwards(random, n):
    """The most certain answers are the worst."""
    scores = random.random(n)
    return scores, random.random(n) > 0.6 * (1 - scores)


def true_risk(draw, threshold):
    """Error rate among answers below the threshold, from the law of the answers and not from any sample."""
    if draw is continuous:
        return 0.3 * min(threshold, 1)
    if draw is coarse:
        return np.mean([0.6 * score for score in np.arange(10) / 10 if score < threshold])
    return TARGET + 0.005 if draw is hopeless else 0.6 * (1 - min(threshold, 1) / 2)


@pytest.mark.parametrize("n", [60, 300])
@pytest.mark.parametrize("draw", [continuous, coarse, hopeless, backwards])
def test_error_rate_exceeds_the_target_in_at_most_delta_of_runs(draw, n):
    random, runs = np.random.default_rng(0), 600
    found = [control_risk(*draw(random, n), TARGET, DELTA) for _ in range(runs)]
    broken = sum(rule.reachable and true_risk(draw, rule.threshold) > TARGET for rule in found)
    assert binomtest(broken, runs, DELTA, alternative="greater").pvalue > 0.001


def test_taking_the_best_looking_threshold_would_break_the_promise():
    random, runs, broken = np.random.default_rng(1), 300, 0
    for _ in range(runs):
        scores, right = continuous(random, 300)
        order = np.argsort(scores)
        rates = np.cumsum(~right[order]) / np.arange(1, 301)
        broken += 0.3 * scores[order][np.flatnonzero(rates <= TARGET).max(initial=0)] > TARGET
    assert broken > 2 * DELTA * runs


def test_many_answers_come_close_to_the_best_threshold():
    rule = control_risk(*continuous(np.random.default_rng(2), 20_000), TARGET, 0.05)
    assert 0.27 < rule.threshold <= 1 / 3


@given(rankings(max_size=80), st.sampled_from([0.1, 0.3, 0.6]), st.sampled_from([0.05, 0.3]))
def test_the_largest_threshold_whose_binomial_test_passes(ranking, target, delta):
    scores, correct = ranking
    rule = control_risk(scores, correct, target, delta)
    n = len(scores)
    counts = sorted({round(n * step / 20) for step in range(1, 21)} - {0})
    while counts and (1 - target) ** counts[0] > delta / len(counts):
        counts = counts[1:]
    best = -np.inf
    for count in counts:
        threshold = sorted(scores)[count] if count < n else np.inf
        given_answers = correct[scores < threshold]
        if len(given_answers):
            test = binomtest(int((given_answers == 0).sum()), len(given_answers), target, alternative="less")
            if test.pvalue <= delta / len(counts):
                best = threshold
    assert rule.threshold == best
    assert rule.tests == len(counts)
    assert rule.answered == (scores < best).sum()
    assert rule.errors == (correct[scores < best] == 0).sum()


def test_bound_is_clopper_and_pearsons():
    rule = control_risk(*continuous(np.random.default_rng(3), 500), 0.2, 0.05)
    expected = proportion_confint(rule.errors, rule.answered, alpha=2 * 0.05 / rule.tests, method="beta")[1]
    assert rule.risk_bound == pytest.approx(expected)
    assert rule.risk < rule.risk_bound <= 0.2


@given(rankings(max_size=80), st.integers(0, 99))
def test_row_order_never_matters(ranking, seed):
    scores, correct = ranking
    order = np.random.default_rng(seed).permutation(len(scores))
    np.testing.assert_equal(control_risk(scores[order], correct[order], 0.4), control_risk(scores, correct, 0.4))


@given(rankings(max_size=80))
def test_increasing_transforms_carry_the_threshold_along(ranking):
    scores, correct = ranking
    plain, moved = control_risk(scores, correct, 0.4), control_risk(scores * 2 + 7, correct, 0.4)
    assert moved.threshold == plain.threshold * 2 + 7
    assert (moved.answered, moved.errors) == (plain.answered, plain.errors)


def test_all_right_answers_everything_that_has_a_score():
    rule = control_risk([0.1] * 100 + [np.nan], [1] * 101, target=0.1)
    assert (rule.threshold, rule.answered, rule.answers, rule.coverage) == (np.inf, 100, 101, 100 / 101)


def test_answers_without_a_score_are_abstained_from():
    scores, right = continuous(np.random.default_rng(4), 500)
    gaps = np.full(50, np.nan)
    with_gaps = control_risk([*scores, *gaps, np.inf, -np.inf], [*right, *np.zeros(52)], 0.2)
    plain = control_risk(scores, right, 0.2)
    assert (with_gaps.threshold, with_gaps.errors, with_gaps.answers) == (plain.threshold, plain.errors, 552)


@pytest.mark.parametrize(
    ("scores", "correct"), [([], []), ([np.nan], [1]), ([0.1, 0.2], [1, 1]), ([0.5] * 99, [0] * 99)]
)
def test_too_few_or_too_bad_answers_reach_no_threshold(scores, correct):
    rule = control_risk(scores, correct, target=0.1)
    assert not rule.reachable
    assert (rule.threshold, rule.answered) == (-np.inf, 0)
    assert np.isnan([rule.risk, rule.risk_bound]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": 0}, "target is 0, but must be between 0 and 1"),
        ({"target": 10}, "target is 10"),
        ({"target": 0.1, "delta": 1}, "delta is 1"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(UQHarnessError, match=message):
        control_risk([0.1], [1], **arguments)
