"""RAUQ's confidence in each token gets into the record, and its mean is the score."""

import numpy as np
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.support import read_questions
from uq_harness import UncertaintyModel
from uq_harness.demo import MODEL_DIR, QUESTIONS
from uq_harness.functional import rauq, rauq_tokens


@pytest.mark.parametrize("confidence", ["probability", "entropy"])
def test_the_record_tells_it_of_every_token(confidence: str) -> None:
    demo = AutoModelForCausalLM.from_pretrained(MODEL_DIR), AutoTokenizer.from_pretrained(MODEL_DIR)
    model = UncertaintyModel(*demo, methods="rauq", rauq_confidence=confidence)
    asked = [row["question"] for row in read_questions(QUESTIONS)[:4]]
    for answer in model.answer(asked):
        values = answer.to_dict()["token_values"]["rauq"]
        assert len(values) == len(answer.tokens)
        assert np.mean(values) == pytest.approx(answer.uncertainty["rauq"], rel=1e-12)
        assert "Coloured by rauq of each token" in answer.to_html("rauq")


def test_the_values_are_those_of_the_layer_whose_score_is_told() -> None:
    confidence, attention = [0.9, 0.2, 0.6], np.array([[[0.9, 0.8], [0.1, 0.2]], [[0.3, 0.4], [0.6, 0.1]]])
    found = rauq_tokens(confidence, attention, alpha=0.3)
    assert found.mean() == pytest.approx(rauq(confidence, attention, alpha=0.3))
    second = 0.3 * 0.2 + 0.7 * 0.3 * 0.9  # the second layer's heads have mean weights of 0.35 and 0.35: the first one
    third = 0.3 * 0.6 + 0.7 * 0.4 * second
    assert found == pytest.approx(-np.log([0.9, second, third]))
