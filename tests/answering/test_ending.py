"""Which tokens count."""

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from tests.tokenizers import byte_level
from uq_harness.answering.stopping import end_tokens, stop_criteria
from uq_harness.demo import MODEL_DIR
from uq_harness.evidence.token_spans import token_texts


def test_a_stop_string_in_the_thinking_ends_the_answer_whatever_marks_the_thinking_s_end() -> None:
    """As lm_eval's ``hf`` stops; what came before it is then all there is."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    model = AutoModelForCausalLM.from_pretrained(MODEL_DIR)
    tokens = tokenizer("Jane Austen wrote it", add_special_tokens=False)["input_ids"]
    for think_end in (tokens[1], tokenizer.decode(tokens[1:2])):
        found = stop_criteria(model, tokenizer, stop_strings=["J"], max_new_tokens=9, think_end_token=think_end)
        assert found.stops is not None
        assert all(found.stops(tokens[:n]) for n in range(1, len(tokens) + 1))
        assert found.read(tokens[:1]) == ("", range(0))


@pytest.mark.parametrize(("configured", "ends"), [(None, {2}), (7, {2, 7}), ([2, 5], {2, 5})])
def test_answers_end_with_the_model_s_tokens_and_the_tokenizer_s(configured: int | list[int], ends: set[int]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    assert end_tokens(GenerationConfig(eos_token_id=configured), tokenizer) == ends
    assert end_tokens(None, tokenizer) == {2}


class TestCharactersOfSeveralTokens:
    """Byte-level vocabularies spread most characters of other scripts than Latin over two to four tokens."""

    @pytest.mark.parametrize("answer", ["北京", "Париж", "กรุงเทพ", "yes 😀", "café", "Paris"])
    @pytest.mark.parametrize("stop", ["\n", "Q:"])
    def test_all_tokens_of_an_answer_before_a_stop_string_count(self, answer: str, stop: str) -> None:
        tokenizer = byte_level()
        ids = tokenizer(answer)["input_ids"]
        rest = tokenizer(f"{stop} 東京")["input_ids"]
        found = stop_criteria(
            AutoModelForCausalLM.from_pretrained(MODEL_DIR), tokenizer, stop_strings=[stop], max_new_tokens=9
        )
        assert found.read([*ids, *rest]) == (answer, range(len(ids)))

    @pytest.mark.parametrize("mark", ["</think>", "◁/think▷"])
    def test_thinking_ends_with_the_token_that_completes_its_mark(self, mark: str) -> None:
        tokenizer = byte_level()
        thought, answer = (tokenizer(text)["input_ids"] for text in (f"首都は…{mark}", "東京"))
        model = AutoModelForCausalLM.from_pretrained(MODEL_DIR)
        found = stop_criteria(model, tokenizer, stop_strings=["\n"], max_new_tokens=9, think_end_token=mark)
        tokens = [*thought, *answer, *tokenizer("\n\n")["input_ids"]]
        assert found.read(tokens) == ("東京", range(len(thought), len(thought) + len(answer)))

    def test_a_character_that_the_limit_cut_ends_at_the_last_token(self) -> None:
        tokenizer = byte_level()
        ids = tokenizer("a京")["input_ids"][:-1]
        found = stop_criteria(
            AutoModelForCausalLM.from_pretrained(MODEL_DIR), tokenizer, stop_strings=["\n"], max_new_tokens=9
        )
        assert found.read(ids) == (tokenizer.decode(ids), range(len(ids)))

    def test_texts_of_tokens_are_the_text_and_hold_no_half_characters(self) -> None:
        tokenizer = byte_level()
        ids = tokenizer("in 北京 😀.")["input_ids"]
        found = token_texts(lambda some: tokenizer.decode(list(some)), ids)
        assert len(found) == len(ids)
        assert "".join(found) == "in 北京 😀."
        assert not any("\ufffd" in text for text in found)
        assert found[-5:] == ("", "", "", "😀", ".")
