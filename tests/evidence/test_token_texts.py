"""The texts of tokens: together they are the text, whatever the tokenizer, and each is what its token adds."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tokenizers import byte_level, sentence_pieces
from uq_harness.evidence.token_spans import token_spans, token_texts

BYTE_LEVEL, SENTENCE_PIECES = byte_level(), sentence_pieces()
TEXTS = ("by K by 北京 é!", "👩‍🔬" * 5, "Kobe\n\n by", "שלום", " ", "aé" * 20, "\ufffd a \ufffd")


def as_bytes(ids: Sequence[int]) -> str:
    return bytes(ids).decode(errors="replace")


def by_spans(decode: Callable[[Sequence[int]], str], ids: Sequence[int]) -> tuple[str, ...]:
    """The same by decoding every beginning: a character is the last token's of those that write it."""
    whole, spans = decode(ids), token_spans(decode, ids)
    ends = [behind for (_, behind), after in zip(spans, [*spans[1:], None], strict=True)]
    shown = [after != span for span, after in zip(spans, [*spans[1:], None], strict=True)]
    starts = [
        max((end for end, told in zip(ends[:at], shown[:at], strict=True) if told), default=0)
        for at in range(len(ends))
    ]
    return tuple(whole[a:b] if told else "" for a, b, told in zip(starts, ends, shown, strict=True))


@pytest.mark.parametrize("tokenizer", [BYTE_LEVEL, SENTENCE_PIECES], ids=["bytes", "pieces"])
@pytest.mark.parametrize("text", TEXTS)
def test_they_are_those_of_the_characters_that_each_token_completes(tokenizer: object, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]  # type: ignore[operator]

    def decode(some: Sequence[int]) -> str:
        return tokenizer.decode(list(some))  # type: ignore[attr-defined]

    found = token_texts(decode, ids)
    assert "".join(found) == decode(ids)
    assert found == by_spans(decode, ids)


@given(st.text(max_size=40), st.integers(0, 8))
def test_an_answer_cut_within_a_character_keeps_what_its_text_shows(text: str, cut: int) -> None:
    ids = list(text.encode(errors="replace"))
    ids = ids[: max(0, len(ids) - cut)]
    found = token_texts(as_bytes, ids)
    assert len(found) == len(ids)
    assert "".join(found) == as_bytes(ids)


def test_long_answers_take_linear_work() -> None:
    read = []

    def decode(ids: Sequence[int]) -> str:
        read.append(len(ids))
        return as_bytes(ids)

    assert len(token_texts(decode, list(b"word " * 400))) == 2000
    assert sum(read) < 20 * 2000


def test_tokens_that_are_not_shown_are_empty() -> None:
    shown = {1: "Paris", 2: "", 3: " is"}
    decode = lambda ids: "".join(shown[one] for one in ids)  # noqa: E731
    assert token_texts(decode, [2, 1, 2, 3, 2, 2]) == ("", "Paris", "", " is", "", "")
    assert token_texts(decode, []) == ()
