"""All scores of a run together: a logistic regression whose weights are always fitted to other answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uq_harness.functional import FloatArray, QualityDifference, auroc, paired_auroc
from uq_harness.rendering.bar import bar_if_slow

LEAST = 50  # answers of each class; with fewer the weights are noise
MOST = 20_000  # answers that weights are fitted to: the error of a coefficient is then about 0.015
NAME = "combined"

_FOLDS, _INNER_FOLDS = 5, 3
_SEED = 0
# Strengths of the ridge penalty for each answer, the strongest first: equally good ones are decided for the stronger.
_PENALTIES = (1.0, 0.1, 0.01, 1e-3)

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Combination:
    """All scores of a run together.

    Attributes:
        scores: For each answer the log-odds of being wrong, up to a constant, by weights that were fitted without it;
            ``nan`` where no method scores it.
        weights: For each method the mean over the folds of its standardised coefficient, the largest in size first.
            Above 0: the higher the score, the likelier is the answer wrong.
        best: The single method with the highest AUROC, among those that score `LEAST` answers of each class where there
            are any: the AUROC of a few answers is luck.
        against_best: AUROC of ``scores`` minus that of the best single method, with DeLong's paired test.
        sampled: Whether a fold's weights were fitted to `MOST` of the other folds' answers, since these are more.
    """

    scores: FloatArray
    weights: Mapping[str, float]
    best: str
    against_best: QualityDifference
    sampled: bool = False


def combine(
    uncertainty: Mapping[str, FloatArray], correct: NDArray[np.int64], keys: Sequence[str]
) -> Combination | str:
    """Combines all scores by nested cross-validation.

    Each outer fold is scored by a regression on the ranks that the scores have among the other folds' answers, or among
    `MOST` of them where they are more, standardised; inner folds of these choose the ridge penalty by log-loss. An
    undefined score counts as the middle rank: it speaks neither for nor against the answer. Answers to one question are
    all in one fold. The result does not depend on the answers' order.

    Args:
        uncertainty: Each method's scores, higher = more uncertain, ``nan`` where there is none.
        correct: 1 for a right answer, 0 for a wrong one.
        keys: Identity of each answer's question.

    Returns:
        The combination, or in words why there is none.
    """
    if NAME in uncertainty:
        return f"the run has a method called {NAME}"
    finite = {name: np.where(np.isfinite(values), values, np.nan) for name, values in sorted(uncertainty.items())}
    telling = {name: values for name, values in finite.items() if np.unique(values[~np.isnan(values)]).size > 1}
    if len(telling) < 2:
        return f"it takes two scores that differ between answers, and there {_are(len(telling))}"
    matrix = np.column_stack(list(telling.values()))
    order = np.argsort(np.asarray(keys), kind="stable")
    rows = order[np.isfinite(matrix[order]).any(axis=1)]
    wrong = correct[rows] == 0
    n_wrong, n_right = int(wrong.sum()), int((~wrong).sum())
    if min(n_wrong, n_right) < LEAST:
        return f"it takes {LEAST} right and {LEAST} wrong answers, and there are {n_right} and {n_wrong}"
    questions = np.asarray(keys)[rows]
    if min(len(np.unique(questions[wrong])), len(np.setdiff1d(questions, questions[wrong]))) < LEAST:
        return f"it takes {LEAST} different questions with a wrong answer, and as many without"
    scores = np.full(len(correct), np.nan)
    scores[rows], coefficients, sampled = _out_of_fold(matrix[rows], wrong, questions)
    weights = dict(zip(telling, map(float, coefficients), strict=True))
    best = _best(telling, correct)
    return Combination(
        scores,
        dict(sorted(weights.items(), key=lambda item: -abs(item[1]))),
        best,
        paired_auroc(scores, telling[best], correct),
        sampled,
    )


def _best(scores: Mapping[str, FloatArray], correct: NDArray[np.int64]) -> str:
    """The method with the highest AUROC; one that scores few answers of a class, or none, only where all do."""

    def quality(name: str) -> tuple[bool, float]:
        scored = correct[~np.isnan(scores[name])]
        area = auroc(scores[name], correct)
        return min(int((scored == 1).sum()), int((scored == 0).sum())) >= LEAST, -1.0 if np.isnan(area) else area

    return max(scores, key=quality)


def _are(count: int) -> str:
    return "is one" if count == 1 else "are none"


def _out_of_fold(
    matrix: FloatArray, wrong: BoolArray, questions: NDArray[np.str_]
) -> tuple[FloatArray, FloatArray, bool]:
    """Scores by weights of other folds, the mean of these weights, and whether they are fitted to a sample.

    The intercept is left out: it tells a fold's share of wrong answers, which stratified folds share up to rounding,
    and what is left of it would rank the folds and not the answers.
    """
    scores = np.empty(len(wrong))
    coefficients = []
    random = np.random.default_rng(_SEED)
    sampled = False
    folds = _folds(wrong, questions, _FOLDS, _SEED)
    for train, test in bar_if_slow(folds, what="All scores together", unit="fold", total=_FOLDS):
        chosen = _sample(train, wrong, random)
        sampled |= len(chosen) < len(train)
        fitted, tried = _ranks(matrix[chosen], matrix[test])
        weights = _fit(fitted, wrong[chosen], _penalty(fitted, wrong[chosen], questions[chosen]))[0]
        scores[test] = tried @ weights
        coefficients.append(weights)
    return scores, np.mean(coefficients, axis=0), sampled


def _sample(rows: NDArray[np.int64], wrong: BoolArray, random: np.random.Generator) -> NDArray[np.int64]:
    """At most `MOST` of the rows.

    Half of them are right and half wrong, or all of the rarer kind are taken: it is what tells of weights, and a kind's
    share moves the intercept alone.
    """
    if len(rows) <= MOST:
        return rows
    kinds = sorted((rows[wrong[rows]], rows[~wrong[rows]]), key=len)
    rarer = min(len(kinds[0]), MOST // 2)
    drawn = [random.choice(kind, size, replace=False) for kind, size in zip(kinds, (rarer, MOST - rarer), strict=True)]
    return np.sort(np.concatenate(drawn))


def _folds(
    wrong: BoolArray, questions: NDArray[np.str_], count: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows to fit to and rows to score, stratified by correctness, with all rows of a question on one side."""
    from sklearn.model_selection import StratifiedKFold

    distinct, question = np.unique(questions, return_inverse=True)
    any_wrong = np.zeros(len(distinct), dtype=bool)
    np.logical_or.at(any_wrong, question, wrong)
    split = StratifiedKFold(count, shuffle=True, random_state=seed)
    for _, held_out in split.split(np.zeros(len(distinct)), any_wrong):
        in_test = np.isin(question, held_out)
        yield np.flatnonzero(~in_test), np.flatnonzero(in_test)


def _ranks(train: FloatArray, test: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Every score's share of smaller training scores, ties half, standardised there; undefined ones are the middle."""
    ranks = np.zeros_like(train), np.zeros_like(test)
    for column, (fitted, tried) in enumerate(zip(train.T, test.T, strict=True)):
        known = np.sort(fitted)
        known = known[: len(known) - int(np.isnan(known).sum())]
        if not len(known):
            continue
        among = _rank(fitted, known)
        spread = float(among.std())
        if spread > 0:
            for side, rank in zip(ranks, (among, _rank(tried, known)), strict=True):
                side[:, column] = (rank - among.mean()) / spread
    return ranks


def _rank(values: FloatArray, known: FloatArray) -> FloatArray:
    """Share of sorted numbers that are below each value, ties half; 0.5 for ``nan``."""
    below, up_to = (np.searchsorted(known, values, side) for side in ("left", "right"))
    return np.where(np.isnan(values), 0.5, (below + up_to) / (2 * len(known)))


def _penalty(ranks: FloatArray, wrong: BoolArray, questions: NDArray[np.str_]) -> float:
    """The penalty with the least log-loss over inner folds."""
    losses = np.zeros(len(_PENALTIES))
    for train, test in _folds(wrong, questions, _INNER_FOLDS, _SEED + 1):
        fitted, sign = ranks[train], np.where(wrong[test], -1.0, 1.0)
        for at, penalty in enumerate(_PENALTIES):
            weights, intercept = _fit(fitted, wrong[train], penalty)
            losses[at] += np.logaddexp(0.0, sign * (ranks[test] @ weights + intercept)).sum()
    return _PENALTIES[int(np.argmin(losses))]


def _fit(ranks: FloatArray, wrong: BoolArray, penalty: float) -> tuple[FloatArray, float]:
    """Weights and intercept of the log-odds of being wrong."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / (penalty * len(wrong)), solver="newton-cholesky").fit(ranks, wrong)
    return np.asarray(model.coef_[0], dtype=np.float64), float(model.intercept_[0])
