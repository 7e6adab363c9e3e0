"""A map of state gradients holds what needs at a single token hold, and asks for prompts long enough."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Evidence, LayerSpan, Need, StateGradient, StateGradientMap
from uq_harness.evidence.backend import gather_all
from uq_harness.evidence.prompt import Prompt, StopCriteria

STOP = StopCriteria(frozenset({2}), 8, read=lambda tokens: ("", range(len(tokens))))
QUESTIONS = ("What is the capital of Foloria?", "Which city serves as the capital in Nomoria, in your view?")


def backend(*needs: Need) -> TransformersBackend:
    model = AutoModelForCausalLM.from_pretrained(MODEL_DIR, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    found = TransformersBackend(model, tokenizer, max_length=256, pad_id=0)
    found.prepare(needs)
    return found


def gather(*needs: Need, semantic_token: int = -3) -> list[Evidence]:
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    prompts = [Prompt(question, "", tokenizer(question)["input_ids"], semantic_token) for question in QUESTIONS]
    return gather_all(backend(*needs), prompts, STOP)


@pytest.mark.parametrize("reweighted", [True, False])
def test_its_columns_are_the_gradients_at_single_tokens(reweighted: bool) -> None:
    spread = StateGradientMap(reweighted, LayerSpan("1-4"), (-5, -3, -1))
    for column, position in enumerate(spread.positions):
        need = StateGradient(reweighted, LayerSpan("1-4"))
        for whole, single in zip(gather(spread), gather(need, semantic_token=position), strict=True):
            norms, expected = whole[spread], single[need]
            assert norms.absolute.shape == norms.squared.shape == (4, 3)
            np.testing.assert_allclose(norms.absolute[:, column], expected.absolute, 1e-4)
            np.testing.assert_allclose(norms.squared[:, column], expected.squared, 1e-4)


def test_maps_and_single_tokens_share_a_pass() -> None:
    half, whole = StateGradient(True, LayerSpan()), StateGradientMap(True, LayerSpan("all"), (-4, -2))
    other = StateGradientMap(True, LayerSpan("top_half"), (-2, -7))
    for evidence in gather(half, whole, other, semantic_token=-2):
        np.testing.assert_array_equal(evidence[whole].absolute[3:, 1], evidence[half].absolute)
        np.testing.assert_array_equal(evidence[whole].absolute[3:, 1], evidence[other].absolute[:, 0])
        assert evidence.semantic_token == -2


def test_a_prompt_that_lacks_a_position_is_refused_and_named() -> None:
    with pytest.raises(UQHarnessError, match=r"last 40 tokens are asked for, but the prompt of 'What .* has \d+"):
        gather(StateGradientMap(True, LayerSpan("all"), tuple(range(-40, 0))))
