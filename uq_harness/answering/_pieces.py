"""The text of each of an answer's tokens."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase


def pieces(tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int]) -> tuple[str, ...]:
    """The text of each token, so that together they are the whole text; a character belongs to its last token."""
    pieces, shown = [], ""
    for count in range(1, len(token_ids) + 1):
        text = tokenizer.decode(list(token_ids[:count]))
        if text.endswith("\ufffd") and count < len(token_ids):
            pieces.append("")
            continue
        pieces.append(text[len(shown) :])
        shown = text
    return tuple(pieces)
