"""Which tokens count."""

from transformers import AddedToken, AutoModelForCausalLM, AutoTokenizer

from uq_harness.answering._ending import ending, special_ids
from uq_harness.demo import MODEL_DIR


def test_special_tokens_are_those_that_a_text_does_not_show_also_without_a_name() -> None:
    """Gemma's end of a turn has none in its tokenizer's settings; SAR must not take it for a meaningful word."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    tokenizer.add_tokens([AddedToken("<end_of_turn>", special=True)], special_tokens=False)
    number = tokenizer.convert_tokens_to_ids("<end_of_turn>")
    assert number not in tokenizer.all_special_ids
    shown = {token for token in range(len(tokenizer)) if tokenizer.decode([token], skip_special_tokens=True)}
    assert number in special_ids(tokenizer)
    assert shown.isdisjoint(special_ids(tokenizer))
    assert special_ids(tokenizer) >= set(tokenizer.all_special_ids)


def test_a_stop_string_in_the_thinking_ends_the_answer_whatever_marks_the_thinking_s_end() -> None:
    """As lm_eval's ``hf`` stops; what came before it is then all there is."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    model = AutoModelForCausalLM.from_pretrained(MODEL_DIR)
    tokens = tokenizer("Jane Austen wrote it", add_special_tokens=False)["input_ids"]
    for think_end in (tokens[1], tokenizer.decode(tokens[1:2])):
        found = ending(model, tokenizer, stop_strings=["J"], max_new_tokens=9, think_end_token=think_end)
        assert found.stops is not None
        assert all(found.stops(tokens[:n]) for n in range(1, len(tokens) + 1))
        assert found.read(tokens[:1]) == ("", range(0))
