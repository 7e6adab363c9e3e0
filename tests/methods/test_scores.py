"""Scores of several methods at once: none where something that a method needs is undefined."""

import json
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

import uq_harness.evidence
from tests.methods.sampled import ANSWER, nli, samples
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import AnswerEntailment, AnswerLogProbs, Evidence, PairwiseEntailment, SampleLogProbs, Samples
from uq_harness.methods import Method, build_methods, scores
from uq_harness.methods.p_true import VERDICT

TEN, COOL = Samples(10, 1.0), Samples(10, 0.7)
METHODS = build_methods("g_nll+degree+self_consistency", {})


def evidence(ten: list[list[float]], cool: list[list[float]], **changes: object) -> Evidence:
    """Samples that all say the same."""
    found = Evidence(
        "Which city?",
        ANSWER,
        {
            TEN: samples(ten),
            COOL: samples(cool),
            PairwiseEntailment(TEN): nli(np.ones((2, 2))),
            AnswerEntailment(COOL): nli(np.ones((2, 2))),
        },
    )
    return replace(found, **changes)


def test_each_method_has_its_own() -> None:
    assert scores(METHODS, evidence([[-1.0]] * 2, [[-1.0]] * 2)) == {
        "g_nll": 0.75,
        "degree": 0.0,
        "self_consistency": 0.0,
    }


def test_an_undefined_set_takes_what_compares_its_texts_with_it_and_nothing_else() -> None:
    found = scores(METHODS, evidence([[-1.0]] * 2, [[-1.0]] * 2, undefined=frozenset({TEN})))
    assert found == pytest.approx({"g_nll": 0.75, "degree": math.nan, "self_consistency": 0.0}, nan_ok=True)


def test_unknown_log_probabilities_leave_alone_what_reads_none() -> None:
    """Of a set whose log-probabilities are unknown the texts are known."""
    unknown = frozenset({AnswerLogProbs(), SampleLogProbs(TEN)})
    found = scores([*METHODS, *build_methods("ln_pe", {})], evidence([[-1.0]] * 2, [[-1.0]] * 2, undefined=unknown))
    assert found == pytest.approx(
        {"g_nll": math.nan, "degree": 0.0, "self_consistency": 0.0, "ln_pe": math.nan}, nan_ok=True
    )


def test_every_method_declares_all_that_it_reads() -> None:
    """Evidence that holds exactly the declared needs suffices; without one of them a method says so."""
    with pytest.raises(KeyError, match="was not gathered"):
        METHODS[1].score(Evidence("Which city?", ANSWER))


def test_the_mappings_of_earlier_releases_go_on_with_a_warning() -> None:
    found = evidence([[-1.0]] * 2, [[-1.0]] * 2)
    with pytest.warns(DeprecationWarning, match=r"evidence\.samples\[need\] becomes evidence\[need\]"):
        assert found.samples == {TEN: found[TEN], COOL: found[COOL]}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = found.nothing


@pytest.mark.parametrize("name", ["Conditionals", "FloatArray"])
def test_the_names_of_earlier_releases_go_on_with_a_warning(name: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"evidence.{name} is now uq_harness"):
        assert getattr(uq_harness.evidence, name) is not None


def test_a_verdict_of_probability_0_is_the_least_certain_and_a_number() -> None:
    """JSON has no infinity, and an answer without a score would drop out of the ranking."""
    impossible, unlikely = (
        scores(build_methods("p_true", {}), Evidence("Which city?", ANSWER, {VERDICT: logprob}))["p_true"]
        for logprob in (-math.inf, -1e30)
    )
    assert json.loads(json.dumps(impossible, allow_nan=False)) == impossible
    assert np.float32(impossible) > np.float32(unlikely)


def test_an_impossible_token_is_a_number() -> None:
    found = scores(METHODS, evidence([[-math.inf], [-1.0]], [[-1.0]] * 2))
    assert found["degree"] == 0


def test_a_method_that_declares_nothing_reads_the_answer() -> None:
    @dataclass(frozen=True)
    class Length(Method):
        name, title, source = "length", "Length", "none"

        def needs(self) -> tuple:
            return ()

        def score(self, found: Evidence) -> float:
            return len(found.answer.text)

    found = Evidence("Which city?", ANSWER)
    assert scores([Length()], found) == {"length": 5}
    assert math.isnan(scores([Length()], replace(found, undefined=frozenset({AnswerLogProbs()})))["length"])


def test_a_method_that_reads_what_it_does_not_declare_is_named() -> None:
    @dataclass(frozen=True)
    class Secret(Method):
        name, title, source = "secret", "Secret", "none"

        def needs(self) -> tuple:
            return ()

        def score(self, found: Evidence) -> float:
            return -found.answer.logprobs.sum() if self else found[TEN]

    with pytest.raises(UQHarnessError, match="secret reads something that its needs\\(\\) does not declare"):
        scores([Secret()], Evidence("Which city?", replace(ANSWER, logprobs=None)))
