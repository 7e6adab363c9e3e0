"""A conversation goes on behind an answer, and short replies are read without thoughts."""

from functools import partial

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from tests.answering.test_templates import WRITES, template
from uq_harness.answering.prompts import PromptEncoder, PromptText
from uq_harness.answering.semantic_token import SemanticToken
from uq_harness.answering.stopping import stop_at, text_stop_criteria
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError

USER, ANSWER, ASKED = "Who wrote Emma?", "Jane Austen", "Sure?"
# As Qwen 3 writes: thoughts are left out of earlier turns, and thinking can be turned off.
THINKING = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content.split('</think>')[-1] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
BRACKETS = (
    "{% for message in messages %}{% if message.role == 'assistant' %} {{ message.content | trim }}</s>{% else %}"
    "[INST] {{ message.content }} [/INST]{% endif %}{% endfor %}"
)


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(MODEL_DIR)


def encoder(tokenizer: PreTrainedTokenizerBase, **arguments: object) -> PromptEncoder:
    how = {"max_length": 1024, "max_gen_toks": 8, "chat_template_args": arguments}
    return PromptEncoder(tokenizer, SemanticToken.parse("last"), **how)


def rendered(tokenizer: PreTrainedTokenizerBase, *texts: str, **arguments: object) -> str:
    roles = ("user", "assistant") * 3
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **arguments)


def gone_on(tokenizer: PreTrainedTokenizerBase, prompt: str, message: str = USER, **arguments: object) -> str:
    (asked,) = encoder(tokenizer, **arguments).encode([PromptText(prompt, message, message)])
    return tokenizer.decode(asked.go_on(ANSWER, ASKED))


@pytest.mark.parametrize("written", [None, template(WRITES["text"]), THINKING, BRACKETS])
@pytest.mark.parametrize("arguments", [{}, {"enable_thinking": False}])
def test_the_conversation_is_what_the_template_writes(
    tokenizer: PreTrainedTokenizerBase, written: str | None, arguments: dict[str, object]
) -> None:
    tokenizer.chat_template = written or tokenizer.chat_template
    whole = rendered(tokenizer, USER, ANSWER, ASKED, **arguments)
    as_read = tokenizer.decode(tokenizer(whole)["input_ids"])
    assert gone_on(tokenizer, rendered(tokenizer, USER, **arguments), **arguments) == as_read


def test_earlier_turns_stay(tokenizer: PreTrainedTokenizerBase) -> None:
    prompt = rendered(tokenizer, "Who wrote Faust?", "Goethe", USER)
    expected = rendered(tokenizer, "Who wrote Faust?", "Goethe", USER, ANSWER, ASKED)
    assert gone_on(tokenizer, prompt) == expected


def test_the_beginning_of_an_answer_that_a_prompt_gives_is_part_of_the_answer(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    prompt = rendered(tokenizer, USER) + "It was "
    assert gone_on(tokenizer, prompt) == rendered(tokenizer, USER, "It was " + ANSWER, ASKED)


def test_a_prompt_without_the_template_is_the_first_message(tokenizer: PreTrainedTokenizerBase) -> None:
    assert gone_on(tokenizer, f"Q: {USER}\nA:") == rendered(tokenizer, f"Q: {USER}\nA:", ANSWER, ASKED)


def test_a_prompt_of_a_run_that_turned_thinking_off_is_understood(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.chat_template = THINKING
    prompt = rendered(tokenizer, USER, enable_thinking=False)
    assert gone_on(tokenizer, prompt).startswith(prompt + ANSWER)  # the second pass was not told
    plain = rendered(tokenizer, USER)
    assert gone_on(tokenizer, plain, enable_thinking=False).startswith(plain + ANSWER)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (None, "has no chat template"),
        ("{{ messages[0].content }}", "loses a message of a conversation of three"),
        (
            "{% if messages | length > 1 %}{{ raise_exception('one question only') }}{% endif %}"
            "{{ messages[0].content }}",
            "refuses a conversation that goes on behind an answer: one question only",
        ),
    ],
)
def test_a_template_that_cannot_go_on_is_an_error(
    tokenizer: PreTrainedTokenizerBase, written: str | None, words: str
) -> None:
    tokenizer.chat_template = written
    with pytest.raises(UQHarnessError, match=words):
        gone_on(tokenizer, USER)


@pytest.mark.parametrize(
    ("prompt", "reply", "think_end", "expected"),
    [
        ("", " 0.9 ", None, "0.9"),
        ("", "<think>\nIt is 0.1", None, ""),
        ("so <think>\n", "It is 0.1", None, ""),
        ("", "<think>0.1</think>\n\n0.9", None, "0.9"),
        ("so <think>\n", "0.1</think>0.9", "</think>", "0.9"),
        ("<think>\n\n</think>\n\n", "0.9", "</think>", "0.9"),
        ("", "0.1 so 0.9", "so", "0.9"),
        ("", "0.1", "so", ""),  # what opens such a thought is unknown
    ],
)
def test_thoughts_are_not_part_of_a_reply(
    tokenizer: PreTrainedTokenizerBase, prompt: str, reply: str, think_end: str | None, expected: str
) -> None:
    ids = partial(tokenizer, add_special_tokens=False)
    stop = stop_at(frozenset({2}), tokenizer, stop_strings=["."], max_new_tokens=4, think_end_token=think_end)
    assert stop.reply(ids(prompt)["input_ids"], ids(reply)["input_ids"], ended=True) == expected
    texts = text_stop_criteria(lambda codes: "".join(map(chr, codes)), stop_strings=["."], max_new_tokens=4)
    if think_end is None:
        assert texts.reply([*map(ord, prompt)], [*map(ord, reply)], ended=True) == expected


def test_a_reply_ends_at_an_end_token_and_says_where_it_was_cut(tokenizer: PreTrainedTokenizerBase) -> None:
    stop = stop_at(frozenset({2}), tokenizer, stop_strings=(), max_new_tokens=4)
    ids = tokenizer("0.9", add_special_tokens=False)["input_ids"]
    assert stop.reply([], [*ids, 2, 2, *ids], ended=False) == "0.9"
    assert stop.reply([], ids, ended=True) == "0.9"
    assert stop.reply([], ids, ended=False) == "0.9…"
    assert stop.reply([], [2], ended=False) == ""
