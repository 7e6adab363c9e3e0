"""What the caller has set up, inference mode or training mode, changes no answer and no score."""

from collections.abc import Iterator

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from uq_harness import UncertaintyModel
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError

ASKED = ["What do people call the capital city of Kizivarra?", "Which city serves as the capital in Nomoria?"]
EVERYTHING = {"methods": "all", "nli_model": "lexical", "similarity_model": "lexical", "max_new_tokens": 8}


@pytest.fixture(scope="module")
def tokenizer() -> AutoTokenizer:
    return AutoTokenizer.from_pretrained(MODEL_DIR)


@pytest.fixture
def demo() -> Iterator[AutoModelForCausalLM]:
    return AutoModelForCausalLM.from_pretrained(MODEL_DIR)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_the_callers_gradient_mode_does_not_matter(demo, tokenizer, mode) -> None:
    expected = UncertaintyModel(demo, tokenizer, **EVERYTHING).answer(ASKED)
    with mode():
        found = UncertaintyModel(demo, tokenizer, **EVERYTHING).answer(ASKED)
    for one, other in zip(found, expected, strict=True):
        assert one.uncertainty == pytest.approx(other.uncertainty, rel=1e-6, nan_ok=True)


def test_a_model_loaded_in_inference_mode_is_refused_where_gradients_are_needed(tokenizer) -> None:
    with torch.inference_mode():
        model = AutoModelForCausalLM.from_pretrained(MODEL_DIR)
        for parameter in model.parameters():  # as a copy to another device makes them
            parameter.data = parameter.data.clone()
        if not any(parameter.is_inference() for parameter in model.parameters()):
            pytest.skip("this version of transformers makes ordinary weights in inference mode")
        with pytest.raises(UQHarnessError, match=r"semgrad cannot be computed: its weights were made inside torch\."):
            UncertaintyModel(model, tokenizer, methods="semgrad")
        assert UncertaintyModel(model, tokenizer, methods="g_nll").answer(ASKED[:1])[0].text


def test_a_model_put_into_training_mode_later_is_refused(demo, tokenizer) -> None:
    model = UncertaintyModel(demo, tokenizer, methods="g_nll", max_new_tokens=4)
    (expected,) = model.answer(ASKED[:1])
    demo.train()
    with pytest.raises(UQHarnessError, match=r"training mode.*model.eval\(\)"):
        model.answer(ASKED[:1])
    demo.eval()
    assert model.answer(ASKED[:1])[0].uncertainty == expected.uncertainty


def test_dropout_alone_in_training_mode_is_refused(demo, tokenizer) -> None:
    demo.model.layers[0].mlp.act_fn = torch.nn.Sequential(torch.nn.SiLU(), torch.nn.Dropout(0.1)).eval()
    model = UncertaintyModel(demo, tokenizer, methods="g_nll", max_new_tokens=4)
    demo.model.layers[0].mlp.act_fn.train()
    with pytest.raises(UQHarnessError, match="training mode"):
        model.answer(ASKED[:1])
