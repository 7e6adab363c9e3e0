"""Pairwise differences and rank intervals, against the tests of single pairs and against simulated truth."""

import numpy as np
import pytest

from uq_harness import functional
from uq_harness.errors import UQHarnessError
from uq_harness.functional import MEASURES, Answers, holm, pairwise_differences, rank_intervals


def made_up(count: int, methods: int, seed: int = 0, missing: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    correct = (random.random(count) < 0.6).astype(int)
    scores = random.normal(size=(methods, count)).round(1) - np.linspace(1.2, 0, methods)[:, None] * correct
    scores[random.random(scores.shape) < missing] = np.nan
    return scores, correct


@pytest.mark.parametrize("missing", [0.0, 0.1])
@pytest.mark.parametrize("measure", MEASURES)
def test_every_pair_is_the_paired_test_of_the_two(measure: str, missing: float) -> None:
    scores, correct = made_up(80, 4, missing=missing)
    found = pairwise_differences(measure, [[Answers(row, correct)] for row in scores])
    test = getattr(functional, f"paired_{measure}")
    for i in range(4):
        for j in range(4):
            expected = test(scores[i], scores[j], correct)
            assert found.differences[i, j] == pytest.approx(expected.difference, abs=1e-12)
            assert found.stderrs[i, j] == pytest.approx(expected.stderr, rel=1e-9, abs=1e-12)
    if measure == "auroc":
        assert found.errors == pytest.approx([functional.auroc_stderr(row, correct) for row in scores])


@pytest.mark.parametrize("measure", MEASURES)
def test_two_models_are_compared_over_their_own_verdicts(measure: str) -> None:
    first, second = made_up(70, 1, seed=1), made_up(70, 1, seed=2)
    found = pairwise_differences(measure, [[Answers(first[0][0], first[1])], [Answers(second[0][0], second[1])]])
    expected = getattr(functional, f"paired_{measure}")(first[0][0], second[0][0], first[1], second[1])
    assert found.differences[0, 1] == pytest.approx(expected.difference)
    assert found.stderrs[0, 1] == pytest.approx(expected.stderr)


def test_the_error_of_a_mean_over_models_is_that_of_the_questions_they_share() -> None:
    scores, correct = made_up(90, 2, seed=3)
    alone = pairwise_differences("auroc", [[Answers(row, correct)] for row in scores])
    twice = pairwise_differences("auroc", [[Answers(row, correct), Answers(row, correct)] for row in scores])
    assert twice.stderrs == pytest.approx(alone.stderrs)  # the same answers again are no new evidence


def test_scores_that_rank_alike_are_not_told_apart_by_rounding() -> None:
    scores, correct = made_up(500, 1, seed=4)
    for measure in MEASURES:
        found = pairwise_differences(measure, [[Answers(row, correct)] for row in (scores[0], 2 * scores[0])])
        assert found.differences[0, 1] == 0
        assert found.stderrs[0, 1] == 0
        assert rank_intervals(found.differences, found.stderrs).tolist() == [[1, 2], [1, 2]]


def test_nearly_the_same_scores_keep_the_error_of_their_difference() -> None:
    scores, correct = made_up(20_000, 1, seed=5)
    other = scores[0].copy()
    other[0] += 0.05
    found = pairwise_differences("auroc", [[Answers(row, correct)] for row in (scores[0], other)])
    expected = functional.paired_auroc(scores[0], other, correct)
    assert found.stderrs[0, 1] == pytest.approx(expected.stderr, rel=1e-6)


def test_places_come_from_holms_one_sided_tests_of_all_ordered_pairs() -> None:
    from scipy.stats import norm

    scores, correct = made_up(300, 6, seed=6)
    found = pairwise_differences("auroc", [[Answers(row, correct)] for row in scores])
    pairs = [(i, j) for i in range(6) for j in range(6) if i != j]
    adjusted = holm([norm.sf(found.differences[i, j] / found.stderrs[i, j]) for i, j in pairs])
    better = {pair for pair, p in zip(pairs, adjusted, strict=True) if p <= 0.05}
    expected = [
        [1 + sum((j, i) in better for j in range(6)), 6 - sum((i, j) in better for j in range(6))] for i in range(6)
    ]
    assert rank_intervals(found.differences, found.stderrs).tolist() == expected
    assert expected[0][1] < expected[-1][0]


def test_true_places_are_inside_in_as_many_draws_as_promised() -> None:
    random = np.random.default_rng(7)
    truth, inside, draws = np.array([0.3, 0.2, 0.2, 0.0]), 0, 1000
    stderrs = np.sqrt(2) * 0.06 * (1 - np.eye(4))
    for values in truth + random.normal(scale=0.06, size=(draws, 4)):
        low, high = rank_intervals(values[:, None] - values, stderrs, alpha=0.1).T
        inside += bool(np.all(low <= [1, 2, 2, 4]) and np.all(high >= [1, 3, 3, 4]))
    assert inside / draws > 0.9 - 3 * np.sqrt(0.9 * 0.1 / draws)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(("questions", "wrong", "methods"), [(50, 2, 4), (50, 5, 4), (200, 10, 10)])
def test_methods_that_know_nothing_are_seldom_told_apart(
    measure: str, questions: int, wrong: int, methods: int
) -> None:
    random, draws, told_apart = np.random.default_rng(8), 200, 0
    correct = (np.arange(questions) >= wrong).astype(int)
    for _ in range(draws):
        rows = [[Answers(row, correct)] for row in random.random((methods, questions))]
        found = pairwise_differences(measure, rows)
        sign = 1 if MEASURES[measure] else -1
        ranks = rank_intervals(sign * found.differences, found.stderrs, degrees=found.degrees)
        told_apart += ranks.tolist() != [[1, methods]] * methods
    assert told_apart / draws <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)


MOSTLY_ZERO = {
    "two that are rarely above 0": ((100, 8), [0.04, 0.12]),
    "one that never is": ((200, 10), [0.0, *[0.1] * 5]),
    "some that rarely are": ((200, 10), [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 1.0, 1.0, 1.0, 1.0]),
    "one that never is, among few answers": ((8, 2), [0.0, 1.0, 1.0, 1.0]),
}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("case", MOSTLY_ZERO)
def test_scores_that_are_mostly_zero_and_know_nothing_are_seldom_told_apart(measure: str, case: str) -> None:
    (questions, wrong), shares = MOSTLY_ZERO[case]
    random, draws, told_apart = np.random.default_rng(9), 150, 0
    correct = (np.arange(questions) >= wrong).astype(int)
    for _ in range(draws):
        rows = [[Answers(random.random(questions) * (random.random(questions) < share), correct)] for share in shares]
        found = pairwise_differences(measure, rows)
        sign = 1 if MEASURES[measure] else -1
        ranks = rank_intervals(sign * found.differences, found.stderrs, degrees=found.degrees)
        told_apart += ranks.tolist() != [[1, len(shares)]] * len(shares)
    assert told_apart / draws <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)


def test_two_models_whose_scores_are_mostly_zero_and_know_nothing_are_seldom_told_apart() -> None:
    random, draws, told_apart = np.random.default_rng(10), 200, 0
    for _ in range(draws):
        rows = [
            [Answers(random.random(100) * (random.random(100) < share), random.permutation(100) >= 8)]
            for share in (0.04, 0.12)
        ]
        found = pairwise_differences("auroc", rows)
        told_apart += rank_intervals(found.differences, found.stderrs, degrees=found.degrees).tolist() != [[1, 2]] * 2
    assert told_apart / draws <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_score_that_is_mostly_zero_and_knows_much_is_told_apart(measure: str) -> None:
    random = np.random.default_rng(11)
    correct = (np.arange(200) >= 20).astype(int)
    rows = [
        [Answers(random.random(200) * (random.random(200) < 0.1 + knows), correct)]
        for knows in (0.8 * (1 - correct), 0)
    ]
    found = pairwise_differences(measure, rows)
    sign = 1 if MEASURES[measure] else -1
    assert rank_intervals(sign * found.differences, found.stderrs, degrees=found.degrees).tolist() == [[1, 1], [2, 2]]


def test_a_difference_without_any_error_is_certain_only_with_infinitely_many_answers() -> None:
    differences, stderrs = [[0, 1], [-1, 0]], np.zeros((2, 2))
    assert rank_intervals(differences, stderrs).tolist() == [[1, 1], [2, 2]]
    assert rank_intervals(differences, stderrs, degrees=1.0).tolist() == [[1, 2], [1, 2]]


def test_degrees_of_freedom_come_from_the_rarer_kind_of_shared_answers() -> None:
    correct = np.array([1, 1, 1, 0, 1, 0, 0, 0, 0])
    scores = np.arange(9.0)
    first, second = Answers(scores, correct), Answers(np.where(scores == 0, np.nan, scores), correct)
    third = Answers(scores[::-1], 1 - (scores < 2))
    found = pairwise_differences("aurc", [[first], [second], [first, third]])
    assert found.degrees.tolist() == [[3, 2, 1], [2, 2, 0], [1, 0, 1]]


@pytest.mark.parametrize("measure", MEASURES)
def test_a_single_wrong_answer_tells_nothing_apart(measure: str) -> None:
    correct = np.array([1] * 30 + [0])
    found = pairwise_differences(measure, [[Answers(np.arange(31.0), correct)], [Answers(-np.arange(31.0), correct)]])
    sign = 1 if MEASURES[measure] else -1
    ranks = rank_intervals(sign * found.differences, found.stderrs, degrees=found.degrees)
    assert ranks.tolist() == [[1, 2], [1, 2]]


def test_a_prr_with_a_single_wrong_or_right_answer_has_no_error() -> None:
    for correct in ([1, 1, 1, 0], [0, 0, 0, 1]):
        assert np.isnan(functional.prr_stderr([1, 2, 3, 4], correct))
    assert functional.prr_stderr([1, 3, 2, 4], [1, 1, 0, 0]) > 0


def test_what_has_no_test_is_not_told_apart() -> None:
    assert rank_intervals([[0, np.nan], [np.nan, 0]], [[0, np.nan], [np.nan, 0]]).tolist() == [[1, 2], [1, 2]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rank_intervals([[0.0, 1.0]], [[0.0, 1.0]]), "square"),
        (lambda: rank_intervals([[0.0]], [[0.0]], alpha=1.0), "alpha"),
        (lambda: rank_intervals([[0.0]], [[0.0]], degrees=[1.0, 2.0]), "degrees"),
        (lambda: pairwise_differences("f1", []), "auroc, aurc, prr"),
        (lambda: pairwise_differences("prr", [[Answers([1.0], [1])], [Answers([1.0, 2.0], [1, 0])]]), "same length"),
    ],
)
def test_impossible_arguments_are_named(call, message: str) -> None:
    with pytest.raises(UQHarnessError, match=message):
        call()
