"""Slow definitions to compare the quality metrics with: nothing here shares code or formulas with the package."""

import itertools

import numpy as np


def aurc_of_order(wrong):
    return np.mean([np.mean(wrong[:k]) for k in range(1, len(wrong) + 1)])


def aurc_over_tie_orders(uncertainty, correct):
    """Mean of the plain AURC over every order that sorts the scores; for a handful of rows only."""
    wrong = 1 - np.asarray(correct)
    groups = [np.flatnonzero(uncertainty == score) for score in np.unique(uncertainty)]
    orders = itertools.product(*(itertools.permutations(group) for group in groups))
    return np.mean([aurc_of_order(wrong[list(itertools.chain(*order))]) for order in orders])


def aurc_over_random_orders(uncertainty, correct, n_orders, seed):
    """Mean and standard error of the plain AURC over random orders of the ties."""
    random = np.random.default_rng(seed)
    wrong = 1 - np.asarray(correct)
    areas = [aurc_of_order(wrong[np.lexsort((random.random(len(wrong)), uncertainty))]) for _ in range(n_orders)]
    return np.mean(areas), np.std(areas, ddof=1) / np.sqrt(n_orders)


def wins(uncertainty, correct):
    """For each pair of a wrong (row) and a right (column) answer: 1 if the wrong one scores higher, half for a tie."""
    wrong, right = uncertainty[correct == 0], uncertainty[correct == 1]
    return np.where(wrong[:, None] > right, 1.0, np.where(wrong[:, None] == right, 0.5, 0.0))


def delong_stderr(uncertainty, correct):
    pairs = wins(uncertainty, correct)
    by_wrong, by_right = pairs.mean(axis=1), pairs.mean(axis=0)
    return np.sqrt(by_wrong.var(ddof=1) / len(by_wrong) + by_right.var(ddof=1) / len(by_right))


def bootstrap_values(metric, uncertainty, correct, n_resamples, seed):
    """A metric on resamples drawn one by one; one-class resamples are left out."""
    random = np.random.default_rng(seed)
    n = len(uncertainty)
    values = [metric(uncertainty[rows], correct[rows]) for rows in random.integers(n, size=(n_resamples, n))]
    return np.array([value for value in values if not np.isnan(value)])


def delong_covariance(uncertainties, corrects):
    """DeLong's covariance from all pairs; where rows differ in correctness, a row's placements in two classes multiply.

    Obuchowski's sum over clusters, without her factor for the number of clusters: every row is a cluster.
    """
    parts = []
    for uncertainty, correct in zip(uncertainties, corrects, strict=True):
        pairs = wins(uncertainty, correct)
        part = np.empty(len(correct))
        for rows, placements in ((correct == 0, pairs.mean(axis=1)), (correct == 1, pairs.mean(axis=0))):
            m = len(placements)
            part[rows] = (placements - pairs.mean()) / m * np.sqrt(m / (m - 1))
        parts.append(part)
    return np.array([[sum(a * b) for b in parts] for a in parts])


def delong_of_the_paper(uncertainties, correct):
    """``S10 / m + S01 / n``, with NumPy's covariance of the placements."""
    pairs = np.array([wins(uncertainty, correct) for uncertainty in uncertainties])
    by_wrong, by_right = np.cov(pairs.mean(axis=2)), np.cov(pairs.mean(axis=1))
    return by_wrong / pairs.shape[1] + by_right / pairs.shape[2]


def holm_by_closed_testing(p_values):
    """Largest Bonferroni p-value of all sets of hypotheses that hold the one in question."""
    tests = range(len(p_values))
    sets = [s for size in tests for s in itertools.combinations(tests, size + 1)]
    return [max(min(1.0, len(s) * min(p_values[i] for i in s)) for s in sets if test in s) for test in tests]
