"""Prompts of a whole run become tokens a part at a time."""

import pytest
from transformers import AutoTokenizer

from uq_harness.answering.prompts import PromptEncoder, PromptText
from uq_harness.answering.semantic_token import SemanticToken
from uq_harness.demo import MODEL_DIR


def encoder() -> PromptEncoder:
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    return PromptEncoder(tokenizer, SemanticToken.parse("auto"), max_length=512, max_gen_toks=16)


@pytest.mark.parametrize("at_once", [1, 2, 5, 7])
def test_however_many_are_encoded_at_once_they_are_those_of_one_at_a_time(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = [f"Who wrote book number {number}{' again' * number}?" for number in range(5)]
    turns = [f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n" for question in questions]
    texts = [PromptText(turn, question, question) for turn, question in zip(turns, questions, strict=True)]
    alone = [encoder().encode([text])[0] for text in texts]
    monkeypatch.setattr("uq_harness.answering.prompts._AT_ONCE", at_once)
    together = encoder()
    found = together.encode(texts)
    assert [prompt.question for prompt in found] == questions
    for one, other in zip(found, alone, strict=True):
        assert list(one.token_ids) == list(other.token_ids)
        assert (one.semantic_token, one.semantic_text) == (other.semantic_token, other.semantic_text)
    assert together.used == (alone[0].semantic_token, alone[0].semantic_text)
