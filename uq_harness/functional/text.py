"""Texts as lexical comparisons see them: normalised, split into words, and their overlap.

The normalisation is SQuAD's (Rajpurkar et al. 2016, arXiv 1606.05250, evaluation script v1.1), which TriviaQA and most
question-answering work use too, with one step beyond it: variants of one character in Unicode are equal. Texts in ASCII
come out as SQuAD's script leaves them.
"""

import re
import string
import unicodedata
from collections import Counter

ARTICLES = ("a", "an", "the")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(rf"\b({'|'.join(ARTICLES)})\b")
# Signs that NFKC keeps apart from the ASCII sign that people type for them.
_LOOK_ALIKES = str.maketrans(dict.fromkeys("´ʹʻʼʽ‘’‛′", "'") | {"−": "-", "⁄": "/"})
# Punctuation that stands between words without a space.
_SEPARATORS = str.maketrans(dict.fromkeys("—―、。", " "))
_VARIATION_SELECTORS = range(0xFE00, 0xFE10)


def fold(text: str) -> str:
    """The text with one spelling for each character: NFKC, case folding, no invisible characters, plain apostrophes.

    >>> fold("Ｒubik’s CUBE") == fold("rubik's cube")
    True
    >>> fold("Straße") == fold("STRASSE")
    True
    """
    if text.isascii():
        return text.lower()
    composed = unicodedata.normalize("NFKC", text.translate(_LOOK_ALIKES))
    folded = unicodedata.normalize("NFKC", composed.casefold()).translate(_LOOK_ALIKES)
    return "".join(c for c in folded if unicodedata.category(c) != "Cf" and ord(c) not in _VARIATION_SELECTORS)


def normalize_answer(text: str) -> str:
    """Folds the text, removes punctuation and English articles, and leaves single spaces.

    Letters of every script stay. A text of nothing but articles and punctuation becomes empty.

    >>> normalize_answer("The Eiffel-Tower,  Paris!")
    'eiffeltower paris'
    >>> normalize_answer("Москва́ и «北京»。")
    'москва́ и 北京'
    """
    return " ".join(_ARTICLES.sub(" ", _without_punctuation(fold(text))).split())


def _without_punctuation(text: str) -> str:
    bare = text.translate(_ASCII_PUNCTUATION)
    if bare.isascii():
        return bare
    return "".join(c for c in bare.translate(_SEPARATORS) if not unicodedata.category(c).startswith("P"))


def tokens(text: str) -> list[str]:
    """The words of the normalised text.

    >>> tokens("A dog's life")
    ['dogs', 'life']
    """
    return normalize_answer(text).split()


def token_f1(prediction: str, reference: str) -> float:
    """Harmonic mean of the precision and recall of words, counted with repetition.

    Two texts without any word are equal (1); a text with words and one without share nothing (0).

    >>> token_f1("the red dog", "a dog")
    0.6666666666666666
    """
    return f1_of_tokens(tokens(prediction), tokens(reference))


def f1_of_tokens(prediction: list[str], reference: list[str]) -> float:
    """`token_f1` of texts that are split already."""
    if not prediction or not reference:
        return float(prediction == reference)
    shared = (Counter(prediction) & Counter(reference)).total()
    return 2 * shared / (len(prediction) + len(reference))
