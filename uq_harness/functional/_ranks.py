"""Which place scores or models have among each other, as far as tests tell them apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations_with_replacement, product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import BoolArray, FloatArray, IntArray, as_floats, check_lengths
from uq_harness.functional._comparison import holm
from uq_harness.functional._components import aurc_shares, auroc_shares, prr_shares, spread
from uq_harness.functional._quality import aurc, auroc, prr
from uq_harness.functional._tie_groups import checked_answers

_METRICS = {"auroc": auroc, "aurc": aurc, "prr": prr}
_SHARES = {"auroc": auroc_shares, "aurc": aurc_shares, "prr": prr_shares}
# Below this share of the two variances, that of a difference is mostly rounding, and is summed from the answers again.
_ROUNDING = 1e-7
# Above this share of answers with one score, the few wrong ones may all have it, and show no spread.
_MOSTLY = 0.5


class _Measured(NamedTuple):
    """One score over some questions: a measure, and what each question adds to its error.

    Attributes:
        value: The measure.
        components: Every question's share in its error.
        shares: The same if the answer were wrong, and if it were right; shape ``(2, questions)``.
        mostly_one: Whether more than half of the answers have one score.
    """

    value: float
    components: FloatArray
    shares: FloatArray
    mostly_one: bool


class Answers:
    """One score of one model's answers to some questions; what tests need of it is found once.

    Args:
        uncertainty: Shape ``(questions,)``, higher = more uncertain, ``nan`` where there is none.
        correct: 1 for a right answer, 0 for a wrong one.

    Raises:
        UQHarnessError: Shapes do not match, or ``correct`` holds anything but 0 and 1.
    """

    def __init__(self, uncertainty: ArrayLike, correct: ArrayLike) -> None:
        scores, right = checked_answers(uncertainty, correct)
        self.scored: BoolArray = np.isfinite(scores)
        self._scores, self._correct = scores, right.astype(np.int64)
        self._own: tuple[str, _Measured] | None = None

    def __len__(self) -> int:
        """Number of questions."""
        return len(self._scores)

    def measured(self, measure: str, rows: BoolArray) -> _Measured:
        """A measure over some of the scored questions."""
        if not np.array_equal(rows, self.scored):
            return self._over(measure, np.where(rows, self._scores, np.nan))
        if self._own is None or self._own[0] != measure:
            self._own = (measure, self._over(measure, self._scores))
        return self._own[1]

    @property
    def right(self) -> BoolArray:
        """Whether each answer is right."""
        return np.asarray(self._correct == 1)

    def rarer(self, rows: BoolArray) -> int:
        """Number of right or of wrong answers among some of the questions, whichever are fewer."""
        right = int(self._correct[rows].sum())
        return min(right, int(rows.sum()) - right)

    def _over(self, measure: str, scores: FloatArray) -> _Measured:
        shares = _SHARES[measure](scores, self._correct)
        counts = np.unique(scores[np.isfinite(scores)], return_counts=True)[1]
        return _Measured(
            float(_METRICS[measure](scores, self._correct)),
            np.where(self.right, shares[1], shares[0]),
            shares,
            bool(counts.size and counts.max() > _MOSTLY * counts.sum()),
        )


class PairwiseDifferences(NamedTuple):
    """Everything against everything.

    Attributes:
        differences: Entry ``[i, j]`` is the first's number minus the second's, over the questions that both score;
            ``nan`` where either is undefined.
        stderrs: Standard errors of these. Where more than half of the answers have one score, the wrong answers' part
            is at least what as many answers of any kind would show, and so is that of the right ones: a few wrong
            answers with the same score show no spread at all.
        errors: Standard error of each number by itself, over its own questions.
        degrees: Degrees of freedom of each difference: of all answers that it is made of, the rarer kind, right or
            wrong, less one. Below 1 no error is known.
    """

    differences: FloatArray
    stderrs: FloatArray
    errors: FloatArray
    degrees: FloatArray


def pairwise_differences(measure: str, rows: Sequence[Sequence[Answers]]) -> PairwiseDifferences:
    """Differences of a measure between all pairs, with the errors of paired tests (`paired_auroc` and its like).

    Every score's share of an answer in the error is found once, and not once a pair, as long as the same questions are
    scored.

    Args:
        measure: ``auroc``, ``aurc`` or ``prr``.
        rows: What is compared: scores of one model, or one score of several models. Each is a mean over one or more
            sets of answers to the same questions in the same order. A question counts in a pair where all of both score
            it.

    Raises:
        UQHarnessError: The measure is unknown, or numbers of questions differ.

    Source:
        As `paired_auroc`, `paired_aurc` and `paired_prr`.

    >>> correct = [1, 1, 1, 0, 1, 0, 0, 1]
    >>> first, second = Answers([1, 2, 3, 4, 5, 6, 7, 8], correct), Answers([8, 2, 3, 6, 4, 1, 5, 7], correct)
    >>> found = pairwise_differences("auroc", [[first], [second]])
    >>> round(float(found.differences[0, 1]), 4), round(float(found.stderrs[0, 1]), 4)
    (0.3333, 0.3018)
    """
    if measure not in _METRICS:
        raise UQHarnessError(f"measure is {measure!r}, but must be one of {', '.join(_METRICS)}")
    check_lengths(**{f"rows[{i}][{j}]": one for i, row in enumerate(rows) for j, one in enumerate(row)})
    differences, stderrs = np.zeros((len(rows), len(rows))), np.zeros((len(rows), len(rows)))
    errors, degrees = np.zeros(len(rows)), np.zeros((len(rows), len(rows)))
    groups: dict[bytes, tuple[BoolArray, list[int]]] = {}
    for number, row in enumerate(rows):
        scored = np.logical_and.reduce([one.scored for one in row])
        groups.setdefault(scored.tobytes(), (scored, []))[1].append(number)
    for (scored, members), (also, others) in combinations_with_replacement(groups.values(), 2):
        both = scored & also
        found = [[one.measured(measure, both) for one in rows[number]] for number in members]
        values, components = _means(found)
        rarer = np.array([min(one.rarer(both) for one in rows[number]) for number in members])
        if members is others:
            found_of_others, rarer_of_others = found, rarer
            errors[members] = np.sqrt(_sizes(components))
        else:
            found_of_others = [[one.measured(measure, both) for one in rows[number]] for number in others]
            rarer_of_others = np.array([min(one.rarer(both) for one in rows[number]) for number in others])
        values_of_others, components_of_others = (values, components) if members is others else _means(found_of_others)
        block = np.ix_(members, others)
        differences[block] = values[:, None] - values_of_others
        stderrs[block] = _spreads(components, components_of_others)
        for i, j in product(range(len(members)), range(len(others))):
            one, other = members[i], others[j]
            if one != other and any(part.mostly_one for part in (*found[i], *found_of_others[j])):
                unseen = _unseen(rows[one], rows[other], found[i], found_of_others[j], both)
                stderrs[one, other] = math.hypot(stderrs[one, other], unseen)
        degrees[block] = np.minimum(rarer[:, None], rarer_of_others) - 1
        differences[block[1].T, block[0].T] = -differences[block].T
        stderrs[block[1].T, block[0].T] = stderrs[block].T
        degrees[block[1].T, block[0].T] = degrees[block].T
    return PairwiseDifferences(differences, stderrs, errors, degrees)


def _means(rows: Sequence[Sequence[_Measured]]) -> tuple[FloatArray, FloatArray]:
    """Each row's mean over its members, and each question's share in that mean's error."""
    values = np.array([np.mean([one.value for one in row]) for row in rows])
    return values, np.array([np.mean([one.components for one in row], axis=0) for row in rows])


def _unseen(
    first: Sequence[Answers],
    second: Sequence[Answers],
    found: Sequence[_Measured],
    found_second: Sequence[_Measured],
    questions: BoolArray,
) -> float:
    """Error of a difference that its answers of one kind do not show and those of both kinds do.

    Members' errors are added up, as if they were one: they share their questions.
    """
    if len(first) == len(second) and all(
        np.array_equal(one.right[questions], other.right[questions]) for one, other in zip(first, second, strict=True)
    ):
        shares = [one.shares - other.shares for one, other in zip(found, found_second, strict=True)]
        return sum(_unseen_of_one(*pair, questions) for pair in zip(first, shares, strict=True)) / len(first)
    alone = [
        sum(_unseen_of_one(one, part.shares, questions) for one, part in zip(row, parts, strict=True)) / len(row)
        for row, parts in ((first, found), (second, found_second))
    ]
    return math.hypot(*alone)


def _unseen_of_one(answers: Answers, shares: FloatArray, questions: BoolArray) -> float:
    missing = 0.0
    for share, kind in zip(shares, (~answers.right & questions, answers.right & questions), strict=True):
        if (count := int(kind.sum())) > 1:
            missing += max(0.0, (count - 1) * (share[questions].var(ddof=1) - share[kind].var(ddof=1)))
    return math.sqrt(missing)


def _spreads(first: FloatArray, second: FloatArray) -> FloatArray:
    """Standard error of each difference of two rows of components."""
    sizes = _sizes(first)[:, None] + _sizes(second)
    variances = sizes - 2 * first @ second.T
    if first is second:
        np.fill_diagonal(variances, 0)
    for i, j in np.argwhere((variances < _ROUNDING * sizes) & (variances != 0)):
        variances[i, j] = spread(first[i] - second[j]) ** 2
    return np.asarray(np.sqrt(np.maximum(variances, 0)), dtype=np.float64)


def _sizes(components: FloatArray) -> FloatArray:
    """Each row's sum of squares."""
    return np.asarray(np.einsum("ij,ij->i", components, components), dtype=np.float64)


def rank_intervals(
    differences: ArrayLike, stderrs: ArrayLike, alpha: float = 0.05, degrees: ArrayLike = np.inf
) -> IntArray:
    """Between which places each entry stands, as far as paired tests tell.

    The best place is 1 + the number of entries that are significantly better, the worst 1 + the number of those that
    are not significantly worse. Differences over their errors are taken for t-distributed, or for normal without
    degrees of freedom. All ordered pairs are tested, one-sided, with Holm's correction over all of them: as far as that
    distribution holds, with probability ``1 - alpha`` all true places are in their intervals.

    Args:
        differences: Shape ``(entries, entries)``, entry ``[i, j]`` above 0 where ``i`` is better; ``nan`` where there
            is no test.
        stderrs: Their standard errors. Without any error, a difference other than 0 is significant where there are
            infinitely many degrees of freedom, and none is where they are finite.
        alpha: Probability that any place is outside its interval.
        degrees: Degrees of freedom of the errors, as `pairwise_differences` gives them: one number or shape
            ``(entries, entries)``; infinitely many make the normal distribution. Below 1 there is no test.

    Returns:
        Shape ``(entries, 2)``: best and worst place, from 1.

    Raises:
        UQHarnessError: Shapes do not match, or ``alpha`` is not between 0 and 1.

    Source:
        Mogstad et al. 2024, Review of Economic Studies 91 (ranks from pairwise differences); Holm 1979, Scandinavian
        Journal of Statistics 6.

    >>> differences = [[0, 0.2, 0.3], [-0.2, 0, 0.1], [-0.3, -0.1, 0]]
    >>> stderrs = [[0, 0.05, 0.05], [0.05, 0, 0.08], [0.05, 0.08, 0]]
    >>> rank_intervals(differences, stderrs).tolist()
    [[1, 1], [2, 3], [2, 3]]
    """
    from scipy.stats import t

    if not 0 < alpha < 1:
        raise UQHarnessError(f"alpha is {alpha!r}, but must be between 0 and 1")
    above, spreads = as_floats("differences", differences, ndim=2), as_floats("stderrs", stderrs, ndim=2)
    count = len(above)
    if above.shape != (count, count) or spreads.shape != above.shape:
        raise UQHarnessError(
            f"differences are {above.shape} and stderrs {spreads.shape}: both must be square and alike"
        )
    free = np.asarray(degrees, dtype=np.float64)
    if free.shape not in ((), above.shape):
        raise UQHarnessError(f"degrees are {free.shape}, but must be one number or {above.shape}, as differences are")
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = np.where(spreads == 0, np.where((above > 0) & np.isinf(free), 0.0, 1.0), t.sf(above / spreads, free))
    p_values[np.isnan(above) | np.isnan(spreads) | ~(free >= 1)] = np.nan
    pairs = ~np.eye(count, dtype=bool)
    better = np.zeros((count, count), dtype=bool)
    better[pairs] = holm(p_values[pairs]) <= alpha
    return np.column_stack([1 + better.sum(axis=0), count - better.sum(axis=1)]).astype(np.int64)
