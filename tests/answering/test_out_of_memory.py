"""A model with room for few rows: the same scores from smaller batches, and what does not fit at all is undefined."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.support import read_questions
from uq_harness import UncertaintyModel
from uq_harness.answering.scored_answer import ScoredAnswer
from uq_harness.demo import MODEL_DIR, QUESTIONS
from uq_harness.methods import all_methods

ASKED = [row["question"] for row in read_questions(QUESTIONS)[40:48]]
EVERYTHING = {"methods": "all", "nli_model": "lexical", "similarity_model": "lexical", "max_new_tokens": 8}


@pytest.fixture(scope="module")
def demo() -> tuple:
    return AutoModelForCausalLM.from_pretrained(MODEL_DIR), AutoTokenizer.from_pretrained(MODEL_DIR)


@pytest.fixture(scope="module")
def expected(demo: tuple) -> list[ScoredAnswer]:
    return UncertaintyModel(*demo, **EVERYTHING).answer(ASKED)


@contextmanager
def room_for(rows: int, decoder: nn.Module, with_gradients: bool = True, tokens: float = math.inf) -> Iterator[None]:
    """Passes of more rows, with gradients where those are too much, or of more tokens run out of memory."""

    def check(_module: nn.Module, _args: tuple, kwargs: dict) -> None:
        ids = kwargs["input_ids"]
        if len(ids) > rows or ids.shape[1] > tokens or (torch.is_grad_enabled() and not with_gradients):
            raise torch.OutOfMemoryError("CUDA out of memory")

    hook = decoder.register_forward_pre_hook(check, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


@pytest.mark.parametrize("rows", [24, 16])
def test_smaller_batches_give_the_same_scores(demo: tuple, expected: list[ScoredAnswer], rows: int) -> None:
    model = UncertaintyModel(*demo, **EVERYTHING)
    with room_for(rows, demo[0].model):
        found = model.answer(ASKED)
    for one, other in zip(found, expected, strict=True):
        assert one.uncertainty == pytest.approx(other.uncertainty, rel=1e-4, abs=1e-9, nan_ok=True)


def test_a_question_whose_samples_do_not_fit_keeps_what_needs_no_more_than_its_answer(
    demo: tuple, expected: list[ScoredAnswer], caplog: pytest.LogCaptureFixture
) -> None:
    model = UncertaintyModel(*demo, **EVERYTHING)
    with room_for(1, demo[0].model):
        found = model.answer(ASKED)
    for one, other in zip(found, expected, strict=True):
        assert one.token_ids == other.token_ids
        assert one.uncertainty["g_nll"] == pytest.approx(other.uncertainty["g_nll"], rel=1e-4)
        assert set(one.uncertainty) == set(all_methods())
        lost = {name for name, score in one.uncertainty.items() if math.isnan(score)} - {"verbalized_confidence"}
        assert {name for name in lost if not all_methods()[name].sampling} == set()
        assert one.record["confidence_reply"] == other.record["confidence_reply"]  # without a number, but there
        assert lost == {name for name in lost if one.evidence.undefined}
    assert any(math.isnan(one.uncertainty["degree"]) for one in found)
    assert caplog.text.count("is undefined") == 1


def test_gradients_that_do_not_fit_are_undefined_and_the_rest_stays(demo: tuple, expected: list[ScoredAnswer]) -> None:
    model = UncertaintyModel(*demo, **EVERYTHING)
    with room_for(99, demo[0].model, with_gradients=False):
        found = model.answer(ASKED)
    for one, other in zip(found, expected, strict=True):
        lost = {name for name, score in one.uncertainty.items() if math.isnan(score)}
        assert lost - {name for name, score in other.uncertainty.items() if math.isnan(score)} >= {"semgrad"}
        assert one.uncertainty["g_nll"] == pytest.approx(other.uncertainty["g_nll"], rel=1e-4)
        assert one.uncertainty["degree"] == pytest.approx(other.uncertainty["degree"], rel=1e-4)


def test_a_question_that_does_not_fit_at_all_is_undefined(demo: tuple, expected: list[ScoredAnswer]) -> None:
    model = UncertaintyModel(*demo, **EVERYTHING)
    longest = "Please, and take your time, " * 4 + ASKED[0]
    limit = max(len(demo[1](text)["input_ids"]) for text in ASKED) + 20
    with room_for(99, demo[0].model, tokens=limit):
        found = model.answer([longest, *ASKED])
    assert found[0].text == ""
    assert all(math.isnan(score) for score in found[0].uncertainty.values())
    assert [one.text for one in found[1:]] == [one.text for one in expected]


def test_nothing_that_fits_is_an_error(demo: tuple) -> None:
    model = UncertaintyModel(*demo, **EVERYTHING)
    with room_for(0, demo[0].model), pytest.raises(torch.OutOfMemoryError):
        model.answer(ASKED)
