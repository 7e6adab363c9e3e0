"""Scores of several methods at once: none where the model's own numbers are NaN."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.methods.sampled import ANSWER, nli, samples
from uq_harness.evidence import AnswerEntailment, Evidence, PairwiseEntailment, Samples
from uq_harness.methods import build_methods, scores
from uq_harness.methods.p_true import VERDICT

TEN, COOL = Samples(10, 1.0), Samples(10, 0.7)
METHODS = build_methods("g_nll+degree+self_consistency", {})


def evidence(ten: list[list[float]], cool: list[list[float]], **changes: object) -> Evidence:
    """Samples that all say the same."""
    found = Evidence(
        "Which city?",
        ANSWER,
        samples={TEN: samples(ten), COOL: samples(cool)},
        entailment={PairwiseEntailment(TEN): nli(np.ones((2, 2))), AnswerEntailment(COOL): nli(np.ones((2, 2)))},
    )
    return replace(found, **changes)


def test_each_method_has_its_own() -> None:
    assert scores(METHODS, evidence([[-1.0]] * 2, [[-1.0]] * 2)) == {
        "g_nll": 0.75,
        "degree": 0.0,
        "self_consistency": 0.0,
    }


def test_a_sample_with_nan_takes_its_set_with_it_and_no_other() -> None:
    """Equal texts alone would look certain."""
    found = scores(METHODS, evidence([[-1.0], [-1.0, math.nan]], [[-1.0]] * 2))
    assert found == pytest.approx({"g_nll": 0.75, "degree": math.nan, "self_consistency": 0.0}, nan_ok=True)


def test_an_answer_with_nan_has_no_uncertainty() -> None:
    broken = replace(ANSWER, logprobs=np.array([-0.5, math.nan]))
    found = scores(METHODS, evidence([[-1.0]] * 2, [[-1.0]] * 2, answer=broken))
    assert found == pytest.approx(dict.fromkeys(found, math.nan), nan_ok=True)


def test_a_verdict_of_probability_0_is_the_least_certain_and_a_number() -> None:
    """JSON has no infinity, and an answer without a score would drop out of the ranking."""
    impossible, unlikely = (
        scores(build_methods("p_true", {}), Evidence("Which city?", ANSWER, continuations={VERDICT: logprob}))["p_true"]
        for logprob in (-math.inf, -1e30)
    )
    assert json.loads(json.dumps(impossible, allow_nan=False)) == impossible
    assert np.float32(impossible) > np.float32(unlikely)


def test_an_impossible_token_is_a_number() -> None:
    found = scores(METHODS, evidence([[-math.inf], [-1.0]], [[-1.0]] * 2))
    assert found["degree"] == 0
