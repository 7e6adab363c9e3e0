"""Which tokens count."""

from transformers import AddedToken, AutoTokenizer

from uq_harness.answering._ending import special_ids
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
