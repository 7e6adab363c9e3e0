"""Scores of whole distributions as methods: what they need, and their value on evidence written down by hand."""

import math

import numpy as np
import pytest

from tests.methods.sampled import ANSWER
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Evidence, TokenStatistic
from uq_harness.methods import build_methods
from uq_harness.methods.distribution import DistributionMethod

# On tokens whose statistics are .2 and .6.
EXPECTED = {
    "self_certainty": 0.4,
    "probability_margin": 0.6,
    "boosted_probability": 0.6,
    "top_k_entropy": 0.4,
    "renyi_divergence": -0.4,
    "fisher_rao": -0.4,
}


def score(name: str, each: list[float], **options: object) -> float:
    (method,) = build_methods(name, options)
    assert isinstance(method, DistributionMethod)
    assert method.needs() == (TokenStatistic(method.statistic),)
    return method.score(Evidence("Which city?", ANSWER, {TokenStatistic(method.statistic): np.array(each)}))


@pytest.mark.parametrize("name", EXPECTED)
def test_the_mean_over_tokens(name: str) -> None:
    assert score(name, [0.2, 0.6]) == pytest.approx(EXPECTED[name])
    assert math.isnan(score(name, []))
    assert math.isnan(score(name, [0.2, math.nan]))


def test_top_k_entropy_may_be_the_maximum() -> None:
    assert score("top_k_entropy", [0.2, 0.6], top_k_entropy_reduce="max") == 0.6
    assert math.isnan(score("top_k_entropy", [], top_k_entropy_reduce="max"))


def test_one_temperature_serves_both_distances() -> None:
    methods = build_methods("renyi_divergence+fisher_rao", {"uniform_temperature": 1.5})
    assert all(method.statistic.temperature == 1.5 for method in methods)


@pytest.mark.parametrize("order", [1, 0, -1, "inf", "x"])
def test_an_order_that_has_no_divergence_is_refused(order: object) -> None:
    with pytest.raises(UQHarnessError, match="a number above 0, but not 1"):
        build_methods("renyi_divergence", {"renyi_order": order})
