"""Scores of nothing but texts: ROUGE-L between samples, equal texts, and the overlap of their words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np

from uq_harness.functional._arrays import FloatArray, mean_or_nan

_ASCII_WORD = re.compile(r"[a-z0-9]+")
# Characters of scripts that put no spaces between words: Han, Kana and Thai. Each is a word.
_UNSPACED = re.compile(
    "[\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
    "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
    "\u0e01-\u0e3a\u0e40-\u0e4e]"
)
_STEMMED_FROM = 4


def lexical_similarity(texts: Sequence[str]) -> float:
    """How little the samples share word for word, ``1 - mean_{i<j} ROUGE-L(s_i, s_j)``.

    ROUGE-L is the F1 of the longest common subsequence of words. Words are runs of letters and digits of any script,
    lower-cased; those of ``a-z`` and digits with more than three characters are Porter-stemmed; each character of Han,
    Kana and Thai is a word. Equal texts have similarity 1, also without a word; else a text without words shares
    nothing.

    Args:
        texts: The samples' texts.

    Returns:
        0 (all alike) to 1; ``nan`` for fewer than two samples.

    Source:
        Fomicheva et al. 2020, arXiv 2005.10608; ROUGE-L: Lin 2004.

    >>> lexical_similarity(["the city of Rome", "The cities of Rome!"]), lexical_similarity(["Rome", "Paris"])
    (0.0, 1.0)
    """
    split = {text: _words(text) for text in set(texts)}
    found = {
        (a, b): _rouge_l(split[a], split[b]) for a, b in {_ordered(*pair) for pair in combinations(texts, 2)} if a != b
    }
    pairs = [_ordered(*pair) for pair in combinations(texts, 2)]
    return mean_or_nan(np.sort(np.array([1.0 - found.get(pair, 1.0) for pair in pairs])))


def exact_match(answer: str, samples: Sequence[str]) -> float:
    """Share of samples whose text is not the answer's, character by character.

    Args:
        answer: The answer's text.
        samples: The samples' texts.

    Returns:
        0 (all equal the answer) to 1; ``nan`` without samples.

    Source:
        Cole et al. 2023, arXiv 2305.14613.

    >>> exact_match("Rome", ["Rome", "rome", "Paris", "Rome"])
    0.5
    """
    return mean_or_nan(np.array([float(sample != answer) for sample in samples]))


def word_overlap(texts: Sequence[str]) -> FloatArray:
    """Jaccard index of the words of all pairs of texts, ``|A ∩ B| / |A ∪ B|``.

    Args:
        texts: The samples' texts; words are what white space separates, lower-cased.

    Returns:
        Shape ``(samples, samples)``, symmetric, 0 to 1; 1 for equal texts.

    Source:
        Lin et al. 2023, arXiv 2305.19187.

    >>> word_overlap(["in Rome", "Rome"]).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    words = [frozenset(text.lower().split()) for text in texts]
    return np.array([[1.0 if a == b else len(a & b) / len(a | b) for b in words] for a in words], dtype=np.float64)


def _ordered(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first <= second else (second, first)


def _words(text: str) -> list[str]:
    """The words of a text as ROUGE-L sees them.

    >>> _words("Cities of 北京, naïve!")
    ['citi', 'of', '北', '京', 'naïve']
    """
    lowered = unicodedata.normalize("NFC", text).lower()
    words = _ASCII_WORD.findall(lowered) if lowered.isascii() else "".join(map(_spaced, lowered)).split()
    return [_stem(word) if word.isascii() and len(word) >= _STEMMED_FROM else word for word in words]


def _spaced(character: str) -> str:
    """A character between words' boundaries: itself within a word, a space between words."""
    if _UNSPACED.match(character):
        return f" {character} "
    # a mark belongs to the letter before it: vowel signs, accents
    return character if character.isalnum() or unicodedata.category(character).startswith("M") else " "


@lru_cache(maxsize=1)
def _stemmer():  # type: ignore[no-untyped-def]  # nltk has no types
    from nltk.stem.porter import PorterStemmer  # not at the top: it takes a second

    return PorterStemmer()


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    return str(_stemmer().stem(word))


def _rouge_l(first: Sequence[str], second: Sequence[str]) -> float:
    total = len(first) + len(second)
    return 2 * _common(first, second) / total if total else 0.0


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence.

    One bit for each word of the first text, cleared where a common subsequence grows by it (Hyyrö 2004).

    >>> _common("abcde", "ebcda")
    3
    """
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    every = (1 << len(first)) - 1
    row = every
    for word in second:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & every
    return len(first) - row.bit_count()
