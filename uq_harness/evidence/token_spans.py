"""Which characters of an answer's text each of its tokens writes, and their texts."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise

Decode = Callable[[Sequence[int]], str]


def tokens_of_beginning(decode: Decode, token_ids: Sequence[int], beginning: str) -> int:
    r"""Number of tokens up to the one that completes the beginning of a text.

    Characters of a decoded prefix cannot be counted: where a character is spread over several tokens, as in byte-level
    vocabularies, a prefix that ends within it shows one or more U+FFFD in its place.

    Args:
        decode: Turns tokens into text.
        token_ids: All tokens of the text.
        beginning: What their text begins with.

    >>> as_bytes = lambda ids: bytes(ids).decode(errors="replace")
    >>> tokens_of_beginning(as_bytes, list("北京\n".encode()), "北京")
    6
    """

    def holds(count: int) -> bool:
        return decode(token_ids[:count]).startswith(beginning)

    return bisect_left(range(len(token_ids)), True, key=holds)


def token_spans(decode: Decode, token_ids: Sequence[int]) -> list[tuple[int, int]]:
    """The first character that each token writes, and the one behind its last, in the text of all tokens.

    Tokens that write a character together have the same span; a token that the text does not show has an empty one.

    Args:
        decode: Turns tokens into text.
        token_ids: All tokens of the text.

    >>> as_bytes = lambda ids: bytes(ids).decode(errors="replace")
    >>> token_spans(as_bytes, list("aé!".encode()))
    [(0, 1), (1, 2), (1, 2), (2, 3)]
    """
    whole = decode(token_ids)
    complete, ends = [0], [0]
    for count in range(1, len(token_ids) + 1):
        text = whole if count == len(token_ids) else decode(token_ids[:count])
        if whole.startswith(text) and len(text) >= ends[-1]:
            complete.append(count)
            ends.append(len(text))
    groups = zip(pairwise(complete), pairwise(ends), strict=True)
    return [span for (first, behind), span in groups for _ in range(first, behind)]


def token_texts(decode: Decode, token_ids: Sequence[int]) -> tuple[str, ...]:
    """The text of each token, so that together they are the whole text; a character belongs to its last token.

    Args:
        decode: Turns tokens into text.
        token_ids: All tokens of the text.

    >>> as_bytes = lambda ids: bytes(ids).decode(errors="replace")
    >>> token_texts(as_bytes, list("aé!".encode()))
    ('a', '', 'é', '!')
    """
    whole = decode(token_ids)
    if "\ufffd" not in whole:  # else it is not told from a character that is not finished
        texts = _texts_in_windows(decode, token_ids)
        if "".join(texts) == whole:
            return texts
    spans = token_spans(decode, token_ids)
    shown, found = 0, []
    for position, (first, behind) in enumerate(spans):
        last_of_group = position + 1 == len(spans) or spans[position + 1] != (first, behind)
        found.append(whole[shown:behind] if last_of_group else "")
        shown = behind if last_of_group else shown
    return tuple(found)


_WINDOW = 6


def _texts_in_windows(decode: Decode, token_ids: Sequence[int]) -> tuple[str, ...]:
    """What each token adds to the text of the few before it: decoding all that is before would take quadratic time."""
    begin, known, texts = 0, "", []
    for count in range(1, len(token_ids) + 1):
        text = decode(token_ids[begin:count])
        if text.endswith("\ufffd") or not text.startswith(known):
            texts.append("")
            continue
        texts.append(text[len(known) :])
        if count - begin >= _WINDOW:
            begin = count - 1
            text = decode(token_ids[begin:count])
            if text.endswith("\ufffd") or not text:  # it begins within a character, or is not shown by itself
                begin = count - _WINDOW
                text = decode(token_ids[begin:count])
        known = text
    return tuple(texts)
