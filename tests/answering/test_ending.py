"""Which tokens count."""

from transformers import AutoModelForCausalLM, AutoTokenizer

from uq_harness.answering import stop_criteria
from uq_harness.demo import MODEL_DIR


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
