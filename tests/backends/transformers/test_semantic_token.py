"""The semantic-preserving token is found from the template, whatever its shape."""

import pytest
from jinja2 import Environment

from uq_harness.answering.semantic_token import Anchor, ChatTail, SemanticToken, anchor_of, user_end
from uq_harness.errors import UQHarnessError

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking is defined and not enable_thinking %}"
    "<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
LLAMA3 = (
    "<|begin_of_text|>{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content }}"
    "<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
MISTRAL = "<s>{% for m in messages %}[INST]{{ m.content }}[/INST]{% endfor %}"
BARE = "{% for m in messages %}{{ m.content }}{% endfor %}"


def tail(template: str, **extra: object) -> ChatTail:
    source = Environment().from_string(template)
    return ChatTail.of(
        lambda user, header: source.render(
            messages=[{"role": "user", "content": user}], add_generation_prompt=header, **extra
        )
    )


def prompt(template: str, user: str, **extra: object) -> str:
    source = Environment().from_string(template)
    return source.render(messages=[{"role": "user", "content": user}], add_generation_prompt=True, **extra)


@pytest.mark.parametrize(
    ("template", "extra", "rest"),
    [
        (CHATML, {}, "<|im_start|>assistant\n"),
        (CHATML, {"enable_thinking": False}, "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        (LLAMA3, {}, "<|start_header_id|>assistant<|end_header_id|>\n\n"),
        (MISTRAL, {}, "?[/INST]"),
        (BARE, {}, "?"),
    ],
)
def test_begins_at_the_header_or_at_the_users_last_character(template: str, extra: dict, rest: str) -> None:
    text = prompt(template, "Why is the sky blue?", **extra)
    anchor = anchor_of(text, tail(template, **extra))
    assert (text[anchor.character :] if anchor else text[-1:]) == rest


@pytest.mark.parametrize(
    ("template", "behind"), [(CHATML, "<|im_end|>\n<|im_start|>assistant\n"), (MISTRAL, "[/INST]"), (BARE, "")]
)
def test_the_users_text_ends_before_what_the_template_puts_behind_it(template: str, behind: str) -> None:
    text = prompt(template, "Why is the sky blue?")
    end = user_end(text, tail(template))
    assert (text[end.character :] if end else "?") == "?" + behind


def test_without_a_template_it_is_the_last_token() -> None:
    assert anchor_of("Why?", None) is None
    assert anchor_of("Why?", tail(CHATML)) is None
    assert SemanticToken.parse("auto").locate(9, None, [(0, 4)], 0) == -1


def test_white_space_after_the_users_text_is_not_meant() -> None:
    text = "[INST]Why? \n[/INST]"
    assert text[anchor_of(text, tail(MISTRAL)).character :] == "? \n[/INST]"


def test_position_is_that_of_the_token_which_holds_the_character() -> None:
    offsets = [(0, 0), (0, 6), (6, 9), (9, 17)]
    assert SemanticToken.parse("auto").locate(4, Anchor(8, first=True), offsets, 0) == -2
    assert SemanticToken.parse("auto").locate(4, Anchor(9, first=True), None, 3) == -3


def test_a_character_of_several_tokens_means_the_headers_first_or_the_texts_last() -> None:
    offsets = [(0, 5), (5, 6), (5, 6), (5, 6), (6, 13)]
    assert SemanticToken.parse("auto").locate(5, Anchor(5, first=True), offsets, 0) == -4
    assert SemanticToken.parse("auto").locate(5, Anchor(5, first=False), offsets, 0) == -2


@pytest.mark.parametrize(("value", "position"), [("last", -1), ("-3", -3), (-3, -3), (-3.0, -3)])
def test_the_user_can_choose(value: str | float, position: int) -> None:
    assert SemanticToken.parse(value).locate(10, None, None, 5) == position


@pytest.mark.parametrize("value", ["first", "3", 0, "", True, -1.5, "nan", None])
def test_other_values_are_refused_with_the_allowed_ones(value: object) -> None:
    with pytest.raises(UQHarnessError, match=r"sp_token=.*auto.*last.*negative"):
        SemanticToken.parse(value)  # type: ignore[arg-type]


def test_a_position_before_the_prompt_is_refused() -> None:
    with pytest.raises(UQHarnessError, match=r"sp_token=-12 .* 10 tokens"):
        SemanticToken.parse(-12).locate(10, None, None, 5)
