"""Sampling-based methods: their names, their options, and the needs these make."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.methods.sampled import samples, score
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import (
    AnswerEntailment,
    AnswerEntropies,
    AnswerLogProbs,
    AnswersGivenAnswers,
    AnswerSimilarity,
    DiverseBeams,
    DrawLogProbs,
    PairwiseEntailment,
    PairwiseSimilarity,
    RescoredLogProb,
    SampleLogProbs,
    Samples,
    SampleStates,
    TokenRelevance,
)
from uq_harness.methods import all_methods, build_methods, select_methods, settings
from uq_harness.methods.mutual_information import stating_prompt

TEN, FIVE = Samples(10, 1.0), Samples(5, 1.0)
COOL = Samples(10, 0.5, top_p=0.99, top_k=5)
CUT = Samples(10, 1.0, top_p=0.9, top_k=50)
HOT, PAIR, FOUR = Samples(3, 2.0), Samples(2, 1.0), Samples(4, 1.0)
WARM = Samples(10, 0.9)
BEAMS = DiverseBeams(10, 1.0)
DEFAULT_NEEDS = {
    "cocoa_msp": {AnswerLogProbs(), TEN, AnswerSimilarity(TEN)},
    "cocoa_mte": {AnswerEntropies(), TEN, AnswerSimilarity(TEN)},
    "cocoa_ppl": {AnswerLogProbs(), TEN, AnswerSimilarity(TEN)},
    "degree": {TEN, PairwiseEntailment(TEN)},
    "discrete_semantic_entropy": {TEN, PairwiseEntailment(TEN)},
    "dissimilarity": {TEN, AnswerSimilarity(TEN)},
    "eigenscore": {COOL, SampleStates(COOL)},
    "ln_pe": {TEN, SampleLogProbs(TEN)},
    "mutual_information": {WARM, SampleLogProbs(WARM), AnswersGivenAnswers(WARM, 0.25, stating_prompt)},
    "sar": {FIVE, SampleLogProbs(FIVE), PairwiseSimilarity(FIVE), TokenRelevance(FIVE)},
    "self_consistency": {Samples(10, 0.7), AnswerEntailment(Samples(10, 0.7))},
    "semantic_density": {BEAMS, AnswerEntailment(BEAMS), RescoredLogProb(BEAMS, 0.1)},
    "semantic_entropy": {TEN, SampleLogProbs(TEN), PairwiseEntailment(TEN)},
    "sentence_sar": {FIVE, SampleLogProbs(FIVE), PairwiseSimilarity(FIVE)},
    "token_sar": {FIVE, SampleLogProbs(FIVE), TokenRelevance(FIVE)},
}
DEFAULTS = {
    "entropy_samples": 10,
    "entropy_temperature": 1.0,
    "entropy_top_p": 1.0,
    "entropy_top_k": 0,
    "graph": "entailment",
    "degree_top_p": 1.0,
    "degree_top_k": 0,
    "sample_logprobs": "model",
    "entailment": "relaxed",
    "consistency_samples": 10,
    "consistency_temperature": 0.7,
    "consistency_top_p": 1.0,
    "consistency_top_k": 0,
    "consistency_threshold": 0.5,
    "eigenscore_samples": 10,
    "eigenscore_temperature": 0.5,
    "eigenscore_top_p": 0.99,
    "eigenscore_top_k": 5,
    "eigenscore_alpha": 1e-3,
    "density_beams": 10,
    "density_penalty": 1.0,
    "density_temperature": 0.1,
    "mi_samples": 10,
    "mi_temperature": 0.9,
    "mi_top_p": 1.0,
    "mi_top_k": 0,
    "mi_threshold": 0.25,
    "mi_answers": 0,
    "mi_gamma1": 0.0,
    "mi_gamma2": 0.0,
    "sar_samples": 5,
    "sar_top_p": 1.0,
    "sar_top_k": 0,
    "sar_shift_temperature": 1e-3,
}


def build(methods: str, **options: Any) -> list[Any]:
    return build_methods(methods, options)


def test_names() -> None:
    names = [cls.name for cls in select_methods("sampling")]
    assert names == sorted(names)
    assert set(DEFAULT_NEEDS) <= set(names)


def test_they_are_only_computed_where_they_are_asked_for() -> None:
    assert not set(DEFAULT_NEEDS) & {cls.name for cls in select_methods("default+sampling_free")}


@pytest.mark.parametrize("name", DEFAULT_NEEDS)
def test_default_needs(name: str) -> None:
    (method,) = build(name)
    assert set(method.needs()) == DEFAULT_NEEDS[name]


def test_nothing_is_cut_off_unless_a_method_asks_for_it() -> None:
    """No top-k of 50 as in transformers' generation configuration."""
    for method in build("sampling"):
        if method.name == "eigenscore":
            continue
        for need in method.needs():
            if isinstance(need, Samples):
                assert (need.top_k, need.top_p) == (0, 1.0)


def test_defaults_are_printed_with_the_results() -> None:
    assert settings(build("+".join(DEFAULT_NEEDS))) == DEFAULTS


@pytest.mark.parametrize(
    ("name", "options", "needs"),
    [
        ("ln_pe", {"entropy_samples": "3", "entropy_temperature": 2}, {HOT, SampleLogProbs(HOT)}),
        ("degree", {"entropy_samples": 3}, {Samples(3, 1.0), PairwiseEntailment(Samples(3, 1.0))}),
        ("token_sar", {"sar_samples": 2}, {PAIR, SampleLogProbs(PAIR), TokenRelevance(PAIR)}),
        (
            "self_consistency",
            {"consistency_samples": 4, "consistency_temperature": 0.3},
            {Samples(4, 0.3), AnswerEntailment(Samples(4, 0.3))},
        ),
        (
            "eigenscore",
            {"eigenscore_samples": 6, "eigenscore_temperature": 1, "eigenscore_top_p": 1, "eigenscore_top_k": 0},
            {Samples(6, 1.0), SampleStates(Samples(6, 1.0))},
        ),
        (
            "semantic_density",
            {"density_beams": 4, "density_penalty": 0, "density_temperature": 1},
            {
                DiverseBeams(4, 0.0),
                AnswerEntailment(DiverseBeams(4, 0.0)),
                RescoredLogProb(DiverseBeams(4, 0.0), 1.0),
            },
        ),
        (
            "mutual_information",
            {"mi_samples": 4, "mi_temperature": 1, "mi_threshold": 0.5},
            {FOUR, SampleLogProbs(FOUR), AnswersGivenAnswers(FOUR, 0.5, stating_prompt)},
        ),
        ("ln_pe", {"entropy_top_p": 0.9, "entropy_top_k": 50}, {CUT, SampleLogProbs(CUT)}),
        (
            "ln_pe",
            {"entropy_top_k": 50, "entropy_top_p": 0.9, "sample_logprobs": "sampled"},
            {CUT, DrawLogProbs(CUT)},
        ),
        ("discrete_semantic_entropy", {"entropy_top_p": 0.9, "entropy_top_k": 50}, {CUT, PairwiseEntailment(CUT)}),
        ("degree", {"degree_top_p": 0.9, "degree_top_k": 50}, {CUT, PairwiseEntailment(CUT)}),
        (
            "sentence_sar",
            {"sar_samples": 10, "sar_top_p": 0.9, "sar_top_k": 50, "sample_logprobs": "sampled"},
            {CUT, DrawLogProbs(CUT), PairwiseSimilarity(CUT)},
        ),
        (
            "self_consistency",
            {"consistency_temperature": 1, "consistency_top_p": 0.9, "consistency_top_k": 50},
            {CUT, AnswerEntailment(CUT)},
        ),
        (
            "mutual_information",
            {"mi_temperature": 1, "mi_top_p": 0.9, "mi_top_k": 50, "sample_logprobs": "sampled"},
            {CUT, DrawLogProbs(CUT), AnswersGivenAnswers(CUT, 0.25, stating_prompt, sampled=True)},
        ),
    ],
)
def test_needs_follow_the_options(name: str, options: dict[str, Any], needs: set[Any]) -> None:
    (method,) = build(name, **options)
    assert set(method.needs()) == needs


def test_methods_share_their_sample_set_whatever_its_options() -> None:
    built = build("ln_pe+semantic_entropy+discrete_semantic_entropy+degree+sar", entropy_temperature=0.8)
    assert {need for method in built for need in method.needs() if isinstance(need, Samples)} == {
        Samples(10, 0.8),
        Samples(5, 0.8),  # the first five of the same
    }


def test_needs_of_two_builds_are_equal() -> None:
    """The engine looks evidence up by need."""
    for name in DEFAULT_NEEDS:
        (first,), (second,) = build(name), build(name)
        assert first.needs() == second.needs()


@pytest.mark.parametrize(
    ("name", "option", "value", "allowed"),
    [
        ("ln_pe", "entropy_samples", 0, "a whole number from 1 to 10000"),
        ("ln_pe", "entropy_samples", 2.5, "a whole number from 1 to 10000"),
        ("ln_pe", "entropy_samples", True, "a whole number from 1 to 10000"),
        ("ln_pe", "entropy_samples", "ten", "a whole number from 1 to 10000"),
        ("ln_pe", "entropy_samples", "inf", "a whole number from 1 to 10000"),
        ("ln_pe", "entropy_samples", "nan", "a whole number from 1 to 10000"),
        ("ln_pe", "entropy_samples", None, "a whole number from 1 to 10000"),
        ("ln_pe", "entropy_temperature", 0, "a number above 0"),
        ("eigenscore", "eigenscore_top_p", 0, "a number above 0, at most 1"),
        ("eigenscore", "eigenscore_top_p", 1.5, "a number above 0, at most 1"),
        ("eigenscore", "eigenscore_top_k", -1, "a whole number from 0 to 2147483648"),
        ("eigenscore", "eigenscore_alpha", "nan", "a number above 0"),
        ("semantic_density", "density_penalty", -0.1, "a number, 0 or more"),
        ("semantic_density", "density_penalty", "inf", "a number, 0 or more"),
        ("self_consistency", "consistency_threshold", 1.01, "a number from 0 to 1"),
        ("self_consistency", "consistency_threshold", False, "a number from 0 to 1"),
        ("semantic_entropy", "entailment", "both", "relaxed or strict"),
        ("mutual_information", "mi_gamma1", -1, "a number, 0 or more"),
        ("mutual_information", "mi_answers", 1, "0 for all, or a whole number from 2 to 10000"),
        ("mutual_information", "mi_answers", -2, "0 for all, or a whole number from 2 to 10000"),
        ("mutual_information", "mi_answers", "few", "0 for all, or a whole number from 2 to 10000"),
        ("ln_pe", "entropy_top_p", 0, "a number above 0, at most 1"),
        ("degree", "degree_top_k", -1, "a whole number from 0 to 2147483648"),
        ("ln_pe", "entropy_top_k", 2**31 + 1, "a whole number from 0 to 2147483648"),
        ("sar", "sample_logprobs", "cut", "model or sampled"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(name: str, option: str, value: Any, allowed: str) -> None:
    with pytest.raises(UQHarnessError, match=rf"{option}=.* is not allowed: use {allowed}$"):
        build(name, **{option: value})


def test_whole_numbers_may_come_as_text_or_as_floats() -> None:
    for value in (7, "7", 7.0, "7.0"):
        (method,) = build("ln_pe", entropy_samples=value)
        assert method.needs()[0] == Samples(7, 1.0)
        assert isinstance(method.entropy_samples, int)


def test_options_that_share_a_name_are_one_option() -> None:
    seen: dict[str, Any] = {}
    for method in all_methods().values():
        for field in method.options():
            first = seen.setdefault(field.name, field)
            assert (field.default, field.metadata["meaning"], field.metadata["allowed"]) == (
                first.default,
                first.metadata["meaning"],
                first.metadata["allowed"],
            )


def test_the_prompt_that_states_an_answer() -> None:
    assert stating_prompt("Who?", "me", "Please answer:\nWho?") == (
        "Consider the following question: Q: Who?\nOne answer to question Q is me.\nPlease answer:\nWho?"
    )


@pytest.mark.parametrize("name", ["ln_pe", "token_sar", "sentence_sar", "semantic_entropy"])
def test_likelihoods_are_the_models_or_those_of_the_draw(name: str) -> None:
    """A score under the law of the draw is what the plain score is of samples that have these log-probabilities."""
    under_model, under_law = [[-1.0, -2.0], [-0.5], [-3.0]], [[-0.25, -1.0], [-0.125], [-2.0]]
    both = tuple(
        replace(sample, sampled_logprobs=np.array(law))
        for sample, law in zip(samples(under_model), under_law, strict=True)
    )
    options = {"sar_samples": 3} if "sar" in name else {"entropy_samples": 3}
    others = {
        "relevance": tuple(np.full(len(law), 0.5) for law in under_law),
        "similarity": np.full((3, 3), 0.25),
        "entailment": np.tile([0.0, 0.0, 1.0], (3, 3, 1)),
    }
    found = score(name, options | {"sample_logprobs": "sampled"}, samples=both, **others)
    assert found == pytest.approx(score(name, options, samples=samples(under_law), **others))
    assert found != pytest.approx(score(name, options, samples=both, **others))
