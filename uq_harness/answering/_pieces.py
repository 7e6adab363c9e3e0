"""The text of each of an answer's tokens."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from uq_harness.token_spans import token_spans


def pieces(tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int]) -> tuple[str, ...]:
    """The text of each token, so that together they are the whole text; a character belongs to its last token."""

    def decode(ids: Sequence[int]) -> str:
        text: str = tokenizer.decode(list(ids))
        return text

    text, shown, pieces = decode(token_ids), 0, []
    spans = token_spans(decode, token_ids)
    for position, (first, behind) in enumerate(spans):
        last_of_group = position + 1 == len(spans) or spans[position + 1] != (first, behind)
        pieces.append(text[shown:behind] if last_of_group else "")
        shown = behind if last_of_group else shown
    return tuple(pieces)
