"""Mutual information between an answer and the next one: merging of answers, and the estimate itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.errors import UQHarnessError
from uq_harness.functional._arrays import (
    FloatArray,
    as_floats,
    as_logprobs,
    check_lengths,
    check_not_negative,
    check_square,
)
from uq_harness.functional.text import f1_of_tokens, tokens

# ``r ln r - r + 1 = Σ_k d^k (k - 1) / k!`` with ``d = ln r``, from k = 2: exact to the last digit below this ``|d|``.
_NEAR_ONE = 0.1
_SERIES = [(k - 1) / math.factorial(k) for k in range(2, 14)]
_ULPS = 8


class MergedAnswers(NamedTuple):
    """Answers that differ in their words, and how probable each is among them (the probabilities add to 1)."""

    answers: list[str]
    probabilities: FloatArray


def merge_by_f1(
    texts: Sequence[str], sequence_logprobs: ArrayLike, threshold: float = 0.25, most: int | None = None
) -> MergedAnswers:
    """Merges distinct answers that share words, and adds their likelihoods.

    In order, an answer joins the first cluster whose first answer it resembles, else it opens one. A text that came up
    before adds nothing: its likelihood is one probability however often it was drawn.

    Args:
        texts: The sampled answers.
        sequence_logprobs: ``L_i``, log-likelihood of each whole answer, shape ``(samples,)``, in nats.
        threshold: An answer resembles another if their token F1 (after SQuAD normalisation) is above this.
        most: How many clusters are kept, the most probable ones, the earlier of equal ones; ``None`` for all.

    Returns:
        The first answers of the clusters that are kept, in the order of the texts, and ``μ1``: these clusters'
        likelihoods, normalised. Empty without samples; probabilities are ``nan`` where no answer is possible.

    Raises:
        UQHarnessError: Lengths differ, a log-likelihood is above 0, or ``most`` is below 1.

    Source:
        Abbasi-Yadkori et al. 2024, arXiv 2406.02543, algorithm 3.

    >>> answers, probabilities = merge_by_f1(["the red car", "a red car!", "a dog", "a dog"], [-1.0, -1.0, -1.0, -1.0])
    >>> answers, probabilities.round(6).tolist()
    (['the red car', 'a dog'], [0.666667, 0.333333])
    """
    log_likelihoods = as_logprobs("sequence_logprobs", sequence_logprobs)
    check_lengths(texts=texts, sequence_logprobs=log_likelihoods)
    if most is not None and most < 1:
        raise UQHarnessError(f"most is {most}, but at least 1 answer must be kept (None keeps all)")
    members: dict[str, list[float]] = {}
    words_of: dict[str, list[str]] = {}
    for text, log_likelihood in zip(texts, log_likelihoods, strict=True):
        if text in words_of:
            continue
        words_of[text] = tokens(text)
        alike = (first for first in members if f1_of_tokens(words_of[text], words_of[first]) > threshold)
        members.setdefault(next(alike, text), []).append(float(log_likelihood))
    with np.errstate(invalid="ignore"):  # nan stays nan
        log_mass = np.array([np.logaddexp.reduce(cluster) for cluster in members.values()], dtype=np.float64)
    answers, probabilities = list(members), _normalised(log_mass)
    if most is None or len(answers) <= most:
        return MergedAnswers(answers, probabilities)
    kept = np.sort(np.argsort(-log_mass, kind="stable")[:most])  # stable: the earlier of equal ones
    return MergedAnswers([answers[place] for place in kept], probabilities[kept] / probabilities[kept].sum())


def mutual_information(
    first: ArrayLike, second_given_first: ArrayLike, gamma1: float = 0.0, gamma2: float = 0.0
) -> float:
    """How far stating one answer changes the probabilities of the next: a lower bound of epistemic uncertainty.

    ``Σ_ab μ1(a) μ2(b|a) log[(μ1(a) μ2(b|a) + γ1) / (μ1(a) Σ_c μ1(c) μ2(b|c) + γ2)]``; with ``γ1 = γ2 = 0`` the mutual
    information of the joint ``μ1(a) μ2(b|a)``. A model that knows the answer is not moved by being told another.

    Args:
        first: ``μ1``, probabilities of the answers as `merge_by_f1` gives them, shape ``(answers,)``; normalised here.
        second_given_first: Likelihood of answer ``b`` after a prompt that states ``a``, at ``[a][b]``, shape
            ``(answers, answers)``; each row is normalised here. Likelihoods of long answers underflow: for those pass
            ``scipy.special.softmax(log_likelihoods, axis=1)``.
        gamma1: ``γ1``, added to the joint probability of two answers.
        gamma2: ``γ2``, added to the product of their probabilities.

    Returns:
        Nats, 0 or more where ``γ1 = γ2 = 0``, and then with its digits also where it is tiny: a conditional
        probability counts as unchanged only where it is so within a few ulps. 0 for one answer, ``nan`` without any,
        or where a row that counts is all zeros.

    Raises:
        UQHarnessError: Shapes do not match, or a number is negative.

    Source:
        Abbasi-Yadkori et al. 2024, arXiv 2406.02543, algorithm 3.

    >>> round(mutual_information([0.5, 0.5], [[1.0, 0.0], [0.0, 1.0]]), 6)
    0.693147
    """
    prior = as_floats("first", first, ndim=1)
    conditional = as_floats("second_given_first", second_given_first, ndim=2)
    check_square("second_given_first", conditional, len(prior))
    check_not_negative("gamma1", gamma1)
    check_not_negative("gamma2", gamma2)
    negative = [*prior[prior < 0], *conditional[conditional < 0]]
    if negative:
        raise UQHarnessError(f"first and second_given_first hold {negative[0]:g}, but likelihoods are 0 or more")
    prior, conditional = prior[prior != 0], conditional[prior != 0]
    if not prior.size or np.isnan(prior).any():
        return float("nan")
    if len(prior) == 1:  # also where the only answer's likelihood has underflowed
        return 0.0
    # In logarithms: a product of two small probabilities is zero before their ratio is.
    with np.errstate(divide="ignore", invalid="ignore"):
        log_prior = np.log(prior / prior.sum())[:, np.newaxis]
        log_conditional = np.log(conditional / conditional.sum(axis=1, keepdims=True))
    log_joint = log_prior + log_conditional
    if np.isnan(log_joint).any():
        return float("nan")
    log_marginal = np.logaddexp.reduce(log_joint, axis=0)
    possible = np.broadcast_to(log_marginal != -np.inf, log_joint.shape)
    log_product = (log_prior + log_marginal)[possible]
    log_ratio = log_conditional[possible] - np.broadcast_to(log_marginal, log_joint.shape)[possible]
    rounding = _ULPS * np.finfo(np.float64).eps * np.maximum(1.0, np.abs(log_product))
    log_ratio[np.abs(log_ratio) < rounding] = 0.0
    if not gamma1 and not gamma2:
        return float((np.exp(log_product) * _divergence(log_ratio)).sum())
    return _smoothed(np.exp(log_product), log_ratio, gamma1, gamma2)


def _divergence(log_ratio: FloatArray) -> FloatArray:
    """``r ln r - r + 1`` for the logarithms of ratios ``r``.

    Summed over two distributions whose ratio is ``r``, it is their Kullback-Leibler divergence, as ``r ln r`` is. No
    term is negative, so that a sum near 0 keeps its digits.
    """
    ratio = np.exp(log_ratio)
    with np.errstate(invalid="ignore"):
        exact = np.where(ratio == 0, 1.0, ratio * log_ratio - np.expm1(log_ratio))
    near = np.where(np.abs(log_ratio) < _NEAR_ONE, log_ratio, 0.0)
    return np.where(np.abs(log_ratio) < _NEAR_ONE, near**2 * np.polynomial.polynomial.polyval(near, _SERIES), exact)


def _smoothed(product: FloatArray, log_ratio: FloatArray, gamma1: float, gamma2: float) -> float:
    """``Σ p ln[(p + γ1) / (q + γ2)]``; 0 where nothing but rounding is left of terms of both signs."""
    joint = product * np.exp(log_ratio)
    difference = product * np.expm1(log_ratio) + (gamma1 - gamma2)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(joint == 0, 0.0, joint * np.log1p(difference / (product + gamma2)))
    total = math.fsum(terms)
    return 0.0 if abs(total) < _ULPS * np.finfo(np.float64).eps * np.abs(terms).max(initial=0.0) else total


def _normalised(log_mass: FloatArray) -> FloatArray:
    if not log_mass.size or not np.max(log_mass) > -np.inf:
        return np.full(log_mass.shape, np.nan)
    mass = np.exp(log_mass - log_mass.max())
    return np.asarray(mass / mass.sum(), dtype=np.float64)
