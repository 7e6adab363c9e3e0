"""A warning where SemGrad's token says little about the question, and which token it was."""

from collections.abc import Sequence

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from uq_harness import UncertaintyModel
from uq_harness.demo import MODEL_DIR

QUESTIONS = ["What is the capital of France?", "Who wrote Emma?", "How many legs has a spider?"]


@pytest.fixture
def demo() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    return AutoModelForCausalLM.from_pretrained(MODEL_DIR), AutoTokenizer.from_pretrained(MODEL_DIR)


def without_attention(model: PreTrainedModel) -> None:
    """No token sees another, so a token of the template has one state for all questions."""
    with torch.no_grad():
        for block in model.model.layers:
            block.self_attn.o_proj.weight.zero_()


def warnings(caplog: pytest.LogCaptureFixture, calls: Sequence[Sequence[str]], *demo: object, **settings: object):
    model = UncertaintyModel(*demo, **{"methods": "semgrad", "max_new_tokens": 3, **settings})
    for questions in calls:
        model.answer(questions)
    return [line for line in caplog.messages if "may say little about a question" in line]


def test_a_token_whose_state_differs_is_no_sink(caplog: pytest.LogCaptureFixture, demo: tuple) -> None:
    assert warnings(caplog, [QUESTIONS], *demo, sp_token=-1) == []


def test_one_state_for_all_questions_is_named_once_with_the_way_out(
    caplog: pytest.LogCaptureFixture, demo: tuple
) -> None:
    without_attention(demo[0])
    (line,) = warnings(caplog, [QUESTIONS, QUESTIONS], *demo)
    assert "position -3 ('<|im_start|>'), may say little about a question: its states are nearly the same" in line
    assert "between its states of 3 different questions is 1.000 in the layers whose gradients are taken (3" in line
    assert "sp_token=measured" in line
    assert "sp_token=-1" in line
    assert "was not measured" in line
    assert "BOS" not in line


def test_the_bos_token_is_named(caplog: pytest.LogCaptureFixture, demo: tuple) -> None:
    demo[1].bos_token = "<|im_start|>"
    (line,) = warnings(caplog, [QUESTIONS], *demo)
    assert "it is the model's BOS token. Measured: the mean cosine" in line


def test_questions_that_come_one_at_a_time_are_compared_all_the_same(
    caplog: pytest.LogCaptureFixture, demo: tuple
) -> None:
    without_attention(demo[0])
    (line,) = warnings(caplog, [[question] for question in QUESTIONS], *demo)
    assert "2 different questions" in line


@pytest.mark.parametrize("methods", ["g_nll", "exgrad+paragrad"])
def test_methods_that_take_no_gradient_there_do_not_care(
    caplog: pytest.LogCaptureFixture, demo: tuple, methods: str
) -> None:
    without_attention(demo[0])
    assert warnings(caplog, [QUESTIONS], *demo, methods=methods) == []


def test_the_token_stands_in_every_record_and_in_the_configuration(demo: tuple) -> None:
    model = UncertaintyModel(*demo, methods="semgrad", max_new_tokens=3)
    assert "semantic_token" not in model.describe()
    for answer in model.answer(QUESTIONS):
        assert answer.to_dict()["semantic_token"] == {"position": -3, "text": "<|im_start|>"}
    assert model.describe()["sp_token"] == "auto"
    assert model.describe()["semantic_token"] == {"position": -3, "text": "<|im_start|>"}
